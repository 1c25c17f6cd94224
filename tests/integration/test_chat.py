"""The durable path: what one sends, every member sees live and finds in history."""

import asyncio
import json
import uuid

import httpx
import pytest
import websockets
from support.client import Client, Refused
from support.stack import wait_until


async def test_two_members_chat_and_history_has_it(stack):
    channel = stack.channel("ada", members=["bob"])
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        ack = await ada.send(channel, "hello, bob")
        await bob.wait_seq(channel, ack["seq"])
        answer = await bob.send(channel, "hello, ada", replyTo=ack["id"])
        for client in (ada, bob):
            await client.wait_seq(channel, answer["seq"])
            assert [m["content"] for m in client.messages(channel)] == ["hello, bob", "hello, ada"]
            assert client.channels[channel].breaks == 0
        first = bob.messages(channel)[0]
        assert first["senderId"] == "ada" and first["senderName"] == "Ada" and first["seq"] == ack["seq"]
        assert first["createdAt"] == ack["createdAt"]
    stack.wait_ingested("ada", channel, answer["seq"])
    with stack.rest("bob") as rest:
        page = rest.get(f"/api/channels/{channel}/messages").json()
    assert [(m["content"], m["seq"]) for m in page["messages"]] == [("hello, bob", ack["seq"]), ("hello, ada", answer["seq"])]
    assert page["completeThroughSeq"] >= answer["seq"] and page["stateSeq"] >= answer["seq"]


async def test_general_is_open_to_everybody(stack):
    name = "guest-" + uuid.uuid4().hex[:8]
    async with Client(stack, name) as newcomer, Client(stack, "ada") as ada:
        ack = await newcomer.send("general", "my first day")
        await ada.wait_seq("general", ack["seq"])
        assert ada.messages("general")[-1]["senderId"] == name


async def test_edit_and_delete(stack):
    channel = stack.channel("ada", members=["bob"])
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        kept = await ada.send(channel, "teh first")
        gone = await ada.send(channel, "a secret")
        edit = await ada.request({"type": "edit", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": kept["seq"],
                                  "content": "the first"})
        with pytest.raises(Refused) as refused:
            await bob.request({"type": "edit", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": kept["seq"],
                               "content": "not bob's"})
        assert refused.value.code == "forbidden"
        delete = await ada.request({"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": gone["seq"]})
        await bob.wait_seq(channel, delete["seq"])
        kinds = [next(k for k in ("message", "messageEdited", "messageDeleted") if k in e) for e in bob.channels[channel].events]
        assert kinds == ["message", "message", "messageEdited", "messageDeleted"]
        assert bob.channels[channel].events[2]["messageEdited"]["targetId"] == kept["id"]
        assert edit["seq"] < delete["seq"]
    stack.wait_ingested("ada", channel, delete["seq"])
    with stack.rest("bob") as rest:
        messages = rest.get(f"/api/channels/{channel}/messages").json()["messages"]
    assert [(m["content"], m["deleted"]) for m in messages] == [("the first", False), ("", True)]
    assert messages[0]["updatedAt"]
    # the deleted content is nowhere any more: not in the events, and after a while not in the log
    events, _ = stack.all_events("bob", channel)
    assert "a secret" not in json.dumps(events)
    assert [e["seq"] for e in events][-1] == delete["seq"]
    async with Client(stack, "bob", from_start=True) as late:
        await late.wait_seq(channel, delete["seq"])
        assert "a secret" not in json.dumps(late.channels[channel].events)


async def test_plain_page_protocol(stack):
    """Ten lines of browser JavaScript: a token in the address, no hello, one message a frame."""
    token = stack.token("ada")
    async with websockets.connect(f"{stack.edge_ws_url}?token={token}") as ws:
        ready = json.loads(await asyncio.wait_for(ws.recv(), 10))
        assert ready["type"] == "ready" and ready["userId"] == "ada"
        assert (ready["maxWatch"], ready["maxFocus"]) == (500, 16)
        id = str(uuid.uuid4())
        await ws.send(json.dumps({"type": "send", "ref": 7, "channelId": "general", "message": {"id": id, "content": "plain"}}))
        seen = {}
        while len(seen) < 2:
            frame = json.loads(await asyncio.wait_for(ws.recv(), 10))
            if frame["type"] == "ack":
                assert frame["ref"] == 7 and frame["id"] == id
                seen["ack"] = frame
            elif frame["type"] == "event" and frame.get("message", {}).get("id") == id:
                seen["event"] = frame
        assert seen["ack"]["seq"] == seen["event"]["seq"]


async def test_bearer_subprotocol(stack):
    token = stack.token("ada")
    async with websockets.connect(stack.ws_url, subprotocols=["parley.v1.json", "parley.bearer." + token]) as ws:
        assert ws.subprotocol == "parley.v1.json"
        assert json.loads((await asyncio.wait_for(ws.recv(), 10)).splitlines()[0])["type"] == "ready"


async def test_rest_send_goes_the_same_way(stack):
    channel = stack.channel("ada", members=["bob"])
    id = str(uuid.uuid4())
    async with Client(stack, "bob") as bob:
        with stack.rest("ada") as rest:
            first = rest.post(f"/api/channels/{channel}/messages", json={"id": id, "content": "by REST"})
            again = rest.post(f"/api/channels/{channel}/messages", json={"id": id, "content": "by REST"})
            other = rest.post(f"/api/channels/{channel}/messages", json={"id": id, "content": "something else"})
        assert first.status_code == 201 and again.status_code == 200, (first.text, again.text)
        assert first.json()["seq"] == again.json()["seq"]
        assert other.status_code == 409 and other.json()["code"] == "id_conflict"
        await bob.wait_seq(channel, first.json()["seq"])
        assert [m["content"] for m in bob.messages(channel)] == ["by REST"]


async def test_pages(stack):
    channel = stack.channel("ada")
    async with Client(stack, "ada") as ada:
        acks = [await ada.send(channel, f"m{i}") for i in range(25)]
    stack.wait_ingested("ada", channel, acks[-1]["seq"])
    seqs = [a["seq"] for a in acks]
    with stack.rest("ada") as rest:
        def page(**q):
            answer = rest.get(f"/api/channels/{channel}/messages", params=q)
            assert answer.status_code == 200, answer.text
            return answer.json()
        last = page(limit=10)
        assert [m["seq"] for m in last["messages"]] == seqs[-10:] and last["hasBefore"] and not last["hasAfter"]
        for cursor in (seqs[15], acks[15]["id"]):
            assert [m["seq"] for m in page(before=cursor, limit=10)["messages"]] == seqs[5:15]
            assert [m["seq"] for m in page(after=cursor, limit=5)["messages"]] == seqs[16:21]
            around = [m["seq"] for m in page(around=cursor, limit=7)["messages"]]
            assert seqs[15] in around and len(around) == 7
        assert not page(before=seqs[0])["messages"]
        for bad in ("0", "-1", "1000000000", "abc", ""):
            answer = rest.get(f"/api/channels/{channel}/messages", params={"limit": bad})
            assert answer.status_code == 400 and "limit" in answer.json()["detail"], (bad, answer.text)
            assert answer.headers["content-type"].startswith("application/problem+json")
        assert rest.get(f"/api/channels/{channel}/messages", params={"before": "nonsense!"}).status_code == 400
        assert rest.get(f"/api/channels/{channel}/messages", params={"before": 5, "after": 5}).status_code == 400


def test_health(stack):
    for service in ("gateway", "history"):
        assert httpx.get(stack.admin_url(service) + "/healthz").status_code == 200
        wait_until(lambda s=service: httpx.get(stack.admin_url(s) + "/readyz").status_code == 200, 10, f"{service} is ready")
        assert "# TYPE" in httpx.get(stack.admin_url(service) + "/metrics").text
