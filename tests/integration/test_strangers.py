"""What others can do to somebody who did nothing: nothing that lasts."""

import asyncio
import threading
import uuid

import pytest
import websockets

from support.client import Client


def members(rest, channel):
    return {m["userId"]: m["name"] for m in rest.get(f"/api/channels/{channel}/members").json()["members"]}


def someone(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def test_nobody_names_another(stack):
    victim, late = someone("victim"), someone("late")
    channel = stack.channel("ada", kind="open")
    with stack.rest("ada") as ada, stack.rest("root", admin=True) as root:
        with stack.rest(token=stack.token(victim, name="Victor")) as rest:
            rest.post(f"/api/channels/{channel}/join").raise_for_status()
        assert members(ada, channel)[victim] == "Victor"
        for admin, name in ((ada, "ADMIN"), (root, "Root's word")):
            other = stack.channel("root" if admin is root else "ada", kind="open")
            added = admin.post(f"/api/channels/{other}/members", json={"userId": victim, "name": name})
            assert added.status_code == 201 and added.json()["name"] == ("" if admin is ada else name)
            stack.wait_ingested("root" if admin is root else "ada", other, int(added.json()["sinceSeq"]))
            event = [e for e in admin.get(f"/api/channels/{other}/events").json()["events"] if e.get("memberJoined", {}).get("userId") == victim]
            assert event[0]["memberJoined"]["name"] == ("" if admin is ada else name)
            assert members(admin, other)[victim] == "Victor"
        # whoever is not known yet may be named by an administrator, and by nobody else
        assert ada.post(f"/api/channels/{channel}/members", json={"userId": late, "name": "Late"}).json()["name"] == ""
        assert members(ada, channel)[late] == ""
        new = someone("new")
        assert root.post(f"/api/channels/{channel}/members", json={"userId": new, "name": "Nora"}).status_code == 201
        assert members(ada, channel)[new] == "Nora"


def test_control_characters_are_refused(stack):
    channel = stack.channel("ada")
    with stack.rest("ada") as ada:
        for bad in ("a\x07", "a\u202egro", "a\x85", "a\u2066", "a\nb"):
            for answer in (
                ada.post(f"/api/channels/{channel}/members", json={"userId": "bob", "name": bad}),
                ada.post("/api/channels", json={"name": bad}),
                ada.post("/api/channels", json={"name": "x", "topic": bad}),
                ada.patch(f"/api/channels/{channel}", json={"name": bad}),
                ada.patch(f"/api/channels/{channel}", json={"topic": bad}),
            ):
                assert answer.status_code == 400 and "control characters" in answer.json()["detail"], (bad, answer.text)
        assert ada.patch(f"/api/channels/{channel}", json={"topic": "„Ünï“ 😀 \u2026"}).status_code == 200


def at_once(*calls):
    """Runs the calls at the same moment, and returns what they return."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i):
        barrier.wait()
        results[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_a_channel_keeps_an_owner(stack):
    with stack.rest("ada") as ada, stack.rest("bob") as bob:
        for rest in (ada, bob):
            rest.get("/api/me")  # connected, so that the two arrive together
        for i in range(12):
            channel = stack.channel("ada", members=["bob", "eve"])
            assert ada.post(f"/api/channels/{channel}/members", json={"userId": "bob", "role": "owner"}).status_code == 200
            calls = [lambda c=channel: ada.post(f"/api/channels/{c}/leave"), lambda c=channel: bob.post(f"/api/channels/{c}/leave")]
            if i % 3 == 1:  # and where they remove each other, or step down
                calls = [lambda c=channel: ada.delete(f"/api/channels/{c}/members/bob"), lambda c=channel: bob.delete(f"/api/channels/{c}/members/ada")]
            if i % 3 == 2:
                calls = [lambda c=channel, r=r, u=u: r.post(f"/api/channels/{c}/members", json={"userId": u, "role": "member"})
                         for r, u in ((ada, "ada"), (bob, "bob"))]
            answers = at_once(*calls)
            assert sorted(a.status_code for a in answers)[0] in (200, 204), [a.text for a in answers]
            assert sorted(a.status_code for a in answers)[1] in (403, 409), [a.text for a in answers]
            with stack.rest("eve") as eve:
                left = eve.get(f"/api/channels/{channel}/members").json()["members"]
            assert [m["role"] for m in left].count("owner") == 1, left


def test_invitations_use_up_nothing(own_stack):
    stack = own_stack(PARLEY_MAX_CHANNELS_PER_USER=3, PARLEY_INVITE_BURST=10, PARLEY_RATE_MESSAGES_PER_USER=1, PARLEY_BURST_MESSAGES_PER_USER=3)
    for i in range(3):  # mallory may not make more than three
        direct = stack.channel("mallory", kind="direct", members=["victim"])
    lobby = stack.channel("ada", kind="open")
    with stack.rest("victim") as victim, stack.rest("mallory") as mallory, stack.rest("root", admin=True) as root:
        # mallory's limit is not victim's
        assert mallory.post(f"/api/channels/{lobby}/join").json()["code"] == "conflict"
        assert victim.post(f"/api/channels/{lobby}/join").status_code == 200
        other = stack.channel("ada", kind="open")
        assert root.post(f"/api/channels/{other}/members", json={"userId": "victim"}).json()["code"] == "conflict"
        # one can go, also from a direct channel, whoever made it
        assert victim.post(f"/api/channels/{direct}/leave").status_code == 204
        assert victim.get(f"/api/channels/{direct}/messages").json()["code"] == "not_a_member"
        assert root.post(f"/api/channels/{other}/members", json={"userId": "victim"}).status_code == 201
        assert mallory.post(f"/api/channels/{direct}/leave").status_code == 204
    # the rate goes by members, and not for administrators
    with stack.rest("eve") as eve, stack.rest("root", admin=True) as root:
        body = {"name": "x", "members": [f"u{i}" for i in range(8)]}
        assert eve.post("/api/channels", json=body).status_code == 201
        refused = eve.post("/api/channels", json=body)
        assert refused.status_code == 429 and refused.json()["retryMs"] > 1000, refused.text
        for _ in range(2):
            assert root.post("/api/channels", json=body).status_code == 201
        # nor does one write faster by REST than by a gateway
        answers = [eve.post(f"/api/channels/{lobby}/messages", json={"content": "x"}).status_code for _ in range(5)]
        assert answers == [403] * 3 + [429] * 2


def test_a_private_channel_looks_like_none(stack):
    channel = stack.channel("ada")
    routes = [("GET", "", None), ("PATCH", "", {"topic": "x"}), ("POST", "/join", None), ("POST", "/leave", None), ("GET", "/members", None),
              ("POST", "/members", {"userId": "bob"}), ("DELETE", "/members/ada", None), ("GET", "/messages", None),
              ("POST", "/messages", {"content": "x"}), ("GET", "/messages/1", None), ("GET", "/events", None)]
    with stack.rest("mallory") as mallory:
        for method, path, body in routes:
            there, none = (mallory.request(method, f"/api/channels/{c}{path}", json=body) for c in (channel, someone("none")))
            assert there.status_code == none.status_code == 403, (method, path)
            for answer in (there, none):
                assert answer.json()["code"] == "not_a_member", (method, path, answer.text)
            assert there.json()["detail"] == none.json()["detail"]


def test_pages_end_at_a_size(stack):
    channel, text, n = stack.channel("ada"), "\x01" * 16000, 25
    with stack.rest("ada") as ada:
        seqs = [ada.post(f"/api/channels/{channel}/messages", json={"content": text}).json()["seq"] for _ in range(n)]
        stack.wait_ingested("ada", channel, seqs[-1])
        for path, key in (("messages", "before"), ("messages", "after")):
            seen, cursor = [], seqs[-1] + 1 if key == "before" else seqs[0] - 1
            while True:
                answer = ada.get(f"/api/channels/{channel}/{path}", params={key: cursor, "limit": 200})
                assert len(answer.content) < 1_200_000
                page = answer.json()
                got = [m["seq"] for m in page["messages"]]
                seen = got + seen if key == "before" else seen + got
                if not page["hasBefore" if key == "before" else "hasAfter"]:
                    break
                assert 0 < len(got) < n
                cursor = got[0] if key == "before" else got[-1]
            assert seen == seqs


async def test_pings_cost_what_frames_cost(own_stack):
    stack = own_stack(PARLEY_RATE_FRAMES_PER_CONNECTION=10, PARLEY_BURST_FRAMES_PER_CONNECTION=20)
    async with websockets.connect(f"{stack.ws_url}?token={stack.token('eve')}", ping_interval=None) as eve, Client(stack, "ada") as ada:
        pings = 0
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while pings < 2000:
                await (await eve.ping())  # each is answered
                pings += 1
        assert closed.value.rcvd.code == 4009 and pings >= 200, pings
        assert ada.close_code is None
    async with websockets.connect(f"{stack.ws_url}?token={stack.token('bob')}", ping_interval=None) as bob:
        with pytest.raises(websockets.ConnectionClosed) as closed:  # one message in endless pieces of nothing
            await asyncio.wait_for(bob.send("" for _ in range(100_000)), 30)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 4009  # lost where it is still sending
