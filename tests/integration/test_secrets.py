"""Canaries in tokens and bodies, through every door; none may sing in a log, a metric, a reason for not being ready, or an error."""

import asyncio
import base64
import contextlib
import json
import time
import uuid

import httpx
import jwt
import nats
import websockets
from support.client import Client
from support.stack import SERVICES, wait_until
from support.uploads import Uploader


class Canaries:
    def __init__(self):
        self.planted = []  # (where, text)
        self.answers = []  # what clients were told: errors

    def plant(self, where):
        text = "canary" + uuid.uuid4().hex
        self.planted.append((where, text))
        return text

    def token(self, where, token):
        """Head and claims are told to whoever has them; the signature is what makes it a key."""
        self.planted.append((where, token.split(".")[2] if token.count(".") == 2 else token))
        return token

    def heard_in(self, where, text):
        return [f"{planted} in {where}" for planted, canary in self.planted if canary in text]


async def told(ws, timeout=5):
    """All that the server says until it is silent or closes, as text"""
    out = []
    try:
        while True:
            frame = await asyncio.wait_for(ws.recv(), timeout)
            out.append(frame if isinstance(frame, str) else frame.decode(errors="replace"))
            if '"error"' in out[-1] or '"pong"' in out[-1]:
                return out
    except (TimeoutError, websockets.ConnectionClosed) as e:
        return out + [str(e)]


def bad_tokens(stack, canaries):
    claims = {"sub": "ada", "iss": "parley-local", "aud": "parley", "iat": int(time.time()), "exp": int(time.time()) + 600}
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode() + "." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return [canaries.token("a token that is none", "canary" + uuid.uuid4().hex),
            canaries.token("a token with a wrong key", jwt.encode(claims, "x" * 32 + uuid.uuid4().hex)),
            canaries.token("an expired token", stack.token("ada", ttl=-60)),
            canaries.token("a token without a signature", f"{unsigned}.canary{uuid.uuid4().hex}"),
            canaries.token("a token for nobody", stack.token(canaries.plant("a subject that is no name") + "|x"))]


async def tokens_at_the_gateway(stack, canaries):
    good = canaries.token("a good token", stack.token("ada"))
    for token in (*bad_tokens(stack, canaries), good):
        for base in (stack.ws_url, stack.edge_ws_url):
            for url, protocols, first in ((f"{base}?token={token}", None, {"type": "ping"}),
                                          (base, ["parley.v1.plain", "parley.bearer." + token], {"type": "ping"}),
                                          (base, None, {"type": "hello", "ref": 1, "token": token})):
                async with websockets.connect(url, subprotocols=protocols) as ws:
                    with contextlib.suppress(websockets.ConnectionClosed):  # it is refused already
                        await ws.send(json.dumps(first))
                    if token != good:
                        canaries.answers += await told(ws)
    async with websockets.connect(f"{stack.ws_url}?token={good}") as ws:
        for token in bad_tokens(stack, canaries)[:2]:
            with contextlib.suppress(websockets.ConnectionClosed):
                await ws.send(json.dumps({"type": "auth", "ref": 2, "token": token}))
        canaries.answers += await told(ws)


async def bodies_at_the_gateway(stack, canaries, channel):
    def message(content, **fields):
        return {"type": "send", "ref": 1, "channelId": channel, "message": {"id": str(uuid.uuid4()), "content": content, **fields}}
    frames = [message(canaries.plant("content of a message that is refused"), type="system"),
              {**message(canaries.plant("content for a foreign channel")), "channelId": "of-others"},
              message("x" * 20000 + canaries.plant("content that is too long")),
              message({"text": canaries.plant("content that is an object")}),
              {**message("x"), "colour": canaries.plant("a value of an unknown field")},
              {"type": "edit", "ref": 1, "channelId": channel, "seq": 9999, "id": str(uuid.uuid4()), "content": canaries.plant("content of an edit")},
              {"type": "react", "ref": 1, "channelId": channel, "seq": 9999, "id": str(uuid.uuid4()), "emoji": canaries.plant("an emoji")}]
    raw = [json.dumps(frame) for frame in frames]
    raw += ['{"type":"send","x":"' + canaries.plant("a frame that is cut off"), "no json: " + canaries.plant("a frame that is no JSON"),
            '{"type":"send","ref":1,"message":{"content":"' + canaries.plant("content beside bad UTF-8") + '\\ud800"}}']
    async with Client(stack, "ada") as ada:
        await ada.send(channel, canaries.plant("content of a message"))
    for text in raw:
        async with websockets.connect(f"{stack.ws_url}?token={stack.token('ada')}") as ws:
            await ws.send(text)
            canaries.answers += [line for line in await told(ws, 2) if '"error"' in line]


def at_rest_doors(stack, canaries, channel):
    def note(answer):
        if answer.status_code >= 400:
            canaries.answers.append(answer.text)
    for token in bad_tokens(stack, canaries):
        with stack.rest(token=token) as rest:
            for path in ("/api/channels", "/api/presence?users=bob", "/api/uploads/x"):
                note(rest.get(path))
                note(rest.get(path, params={"token": token}))
    with stack.rest("ada") as rest:
        url = f"/api/channels/{channel}/messages"
        note(rest.post(url, json={"id": str(uuid.uuid4()), "content": canaries.plant("content by REST")}))
        note(rest.post(url, json={"id": "7", "content": canaries.plant("content that REST refuses")}))
        note(rest.post(url, content='{"content":"' + canaries.plant("a body that is cut off")))
        note(rest.post(url, json={"content": "y" * 1_200_000 + canaries.plant("a body that is too large")}))
        note(rest.put("/api/presence/status", json={"text": canaries.plant("a status")}))
        note(rest.put("/api/presence/status", json={"text": canaries.plant("a status that is refused"), "mode": "dancing"}))
        note(rest.post("/api/channels", json={"id": channel, "name": canaries.plant("the name of a channel that is there already")}))
        note(rest.post("/api/channels", json={"id": "c1", "name": canaries.plant("the name of a channel that is refused"), "kind": "none"}))
    with Uploader(stack, "ada") as uploader:
        note(uploader.create(channel, b"z", name=canaries.plant("the name of a file")))
        note(uploader.create(channel, b"z", name=canaries.plant("the name of a file that is refused") + "/x", contentType="text"))
        uploader.uploaded(channel, canaries.plant("the body of a file").encode())
        upload = uploader.created(channel, b"z" * 60)
        note(uploader.send(upload["upload"], canaries.plant("the body of a file of another length").encode()) if "upload" in upload else
             uploader.create(channel, b"", name=""))


def without_postgres(stack, canaries, channel):
    """What is asked of history while it has no database, which is where it has most to say"""
    stack.kill("postgres")
    with stack.rest("ada") as rest:
        def asked():
            """True when the database was missed by each"""
            name = canaries.plant("the name of a channel without PostgreSQL")
            answers = [rest.post("/api/channels", json={"id": "c" + uuid.uuid4().hex, "name": name}), rest.patch(f"/api/channels/{channel}", json={"name": name})]
            canaries.answers += [a.text for a in answers if a.status_code >= 400]
            return all(a.status_code == 503 for a in answers)
        wait_until(asked, 20, "history misses its database", 0.5)


async def at_nats(stack, canaries, channel):
    """Whoever may write there may write nonsense: it becomes a dead letter."""
    client = await nats.connect(stack.nats_url)
    for subject in (f"chat.0.{channel}", "rpc.history.events", "presence.gw.x", "live.user.ada"):
        await client.publish(subject, canaries.plant(f"a message on {subject}").encode())
    await client.flush()
    await client.close()


async def test_no_canary_sings(own_stack):
    stack, canaries = own_stack(PARLEY_LOG_LEVEL="debug", PARLEY_RATE_LIMITS="off"), Canaries()
    channel = stack.channel("ada", members=["bob"])
    await tokens_at_the_gateway(stack, canaries)
    await bodies_at_the_gateway(stack, canaries, channel)
    await asyncio.to_thread(at_rest_doors, stack, canaries, channel)
    await at_nats(stack, canaries, channel)
    await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_dead_letters_total") > 0, 20, "the dead letter is counted")
    await asyncio.to_thread(without_postgres, stack, canaries, channel)
    assert len(canaries.planted) > 25 and len(canaries.answers) > 25
    heard = []
    logs = stack.log_texts()
    assert {f"{service}.log" for service in SERVICES} <= set(logs)
    for name, text in logs.items():
        assert text or name == "nginx.log", f"{name} is empty"
        heard += canaries.heard_in(name, text)
    for service in SERVICES:
        for path in ("/metrics", "/readyz", "/healthz"):
            heard += canaries.heard_in(service + path, httpx.get(stack.admin_url(service) + path).text)
    for answer in canaries.answers:
        heard += canaries.heard_in(f"the answer {answer[:200]}", answer)
    assert not heard, "\n".join(heard)


def test_the_test_can_hear(tmp_path):
    canaries = Canaries()
    text = canaries.plant("a body")
    assert canaries.heard_in("x", f"…{text}…") == ["a body in x"]
    assert canaries.heard_in("x", "…") == []
