"""Reads what history serves, by REST."""

import asyncio
import time

import httpx

TRIES_S = 60


class History:
    def __init__(self, doors, user):
        self.rest = httpx.AsyncClient(base_url=doors.rest_url, headers={"Authorization": f"Bearer {doors.token(user)}"}, timeout=20)

    async def close(self):
        await self.rest.aclose()

    async def get(self, path, **params):
        """The page, however often 503 or 429 says to come again within TRIES_S."""
        deadline = time.monotonic() + TRIES_S
        while True:
            try:
                answer = await self.rest.get(path, params=params)
                if answer.status_code == 200:
                    return answer.json()
                what = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise RuntimeError(f"GET {path} {params}: {what}")
            except httpx.HTTPError as error:
                what = repr(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"GET {path} {params} for {TRIES_S} s: {what}")
            await asyncio.sleep(0.2)  # a poll with a deadline

    async def through(self, channel):
        """The sequence through which history is complete, or 0 where it does not answer now."""
        try:
            answer = await self.rest.get(f"/api/channels/{channel}/messages", params={"limit": 1})
        except httpx.HTTPError:
            return 0
        return answer.json()["completeThroughSeq"] if answer.status_code == 200 else 0

    async def read(self, channel):
        return {"events": await self.events(channel), "messages": await self.messages(channel)}

    async def events(self, channel):
        events, after = [], 0
        while True:
            page = await self.get(f"/api/channels/{channel}/events", after=after, limit=500)
            events += page["events"]
            after = page["throughSeq"]
            if not page["more"]:
                return events

    async def messages(self, channel):
        """All pages of messages, from the newest to the oldest as a reader scrolls, and then in ascending order."""
        messages, before = [], {}
        while True:
            page = await self.get(f"/api/channels/{channel}/messages", limit=200, **before)
            messages = page["messages"] + messages
            if not page["hasBefore"] or not page["messages"]:
                return messages
            before = {"before": page["messages"][0]["seq"]}
