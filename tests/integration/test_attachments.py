"""Messages with files: what a gateway and history take, keep, and show."""

import asyncio
import uuid

import pytest
from support.client import Client, Refused
from support.uploads import Uploader


def user():
    return "u" + uuid.uuid4().hex[:12]


def uploaded(stack, who, channel, data=b"hello", **fields):
    with Uploader(stack, who) as uploader:
        done = uploader.uploaded(channel, data, **fields)
        return done["attachment"], done["descriptor"]


def page(stack, name, channel):
    with stack.rest(name) as rest:
        return rest.get(f"/api/channels/{channel}/messages").json()["messages"]


async def refused(client, channel, *descriptors, content="look"):
    with pytest.raises(Refused) as error:
        await client.send(channel, content, attachments=list(descriptors))
    assert error.value.code == "bad_request"
    return str(error.value.frame if hasattr(error.value, "frame") else error.value)


async def test_everybody_sees_the_file(stack):
    ann, bob = user(), user()
    channel = stack.channel(ann, members=[bob])
    one, token = uploaded(stack, ann, channel, name="план 🎉.txt")
    two, other_token = uploaded(stack, ann, channel, b"second")
    async with Client(stack, ann) as a, Client(stack, bob) as b, Client(stack, bob, protocol="parley.v1.plain") as plain:
        ack = await a.send(channel, "", attachments=[token, other_token])  # a file says enough
        for client in (a, b, plain):
            await client.wait_seq(channel, ack["seq"])
            assert client.messages(channel)[-1]["attachments"] == [one, two]
        edit = await a.request({"type": "edit", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": ack["seq"], "content": "words"})
        without = await a.send(channel, "no file")
    stack.wait_ingested(ann, channel, without["seq"])
    messages = page(stack, bob, channel)
    assert [(m["content"], m["attachments"]) for m in messages] == [("words", [one, two]), ("no file", [])]
    events = {e["seq"]: e for e in stack.all_events(bob, channel)[0]}
    assert events[ack["seq"]]["message"]["attachments"] == [one, two] and events[ack["seq"]]["message"]["content"] == ""
    assert edit["seq"] in events
    with stack.rest(bob) as rest:
        assert rest.get(f"/api/channels/{channel}/messages/{ack['id']}").json()["attachments"] == [one, two]
    async with Client(stack, bob, from_start=True) as late:  # a replay
        await late.wait_seq(channel, without["seq"])
        assert late.messages(channel)[0]["attachments"] == [one, two]


async def test_a_deleted_message_shows_no_file(stack):
    ann = user()
    channel = stack.channel(ann)
    _, token = uploaded(stack, ann, channel)
    async with Client(stack, ann) as a:
        ack = await a.send(channel, "look", attachments=[token])
        await a.wait_seq(channel, ack["seq"])
        gone = await a.request({"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": ack["seq"]})
    stack.wait_ingested(ann, channel, gone["seq"])
    message = page(stack, ann, channel)[0]
    assert message["deleted"] and message["attachments"] == [] and message["content"] == ""
    assert "message" not in {e["seq"]: e for e in stack.all_events(ann, channel)[0]}[ack["seq"]]


async def test_only_what_fits(stack):
    ann, bob = user(), user()
    channel, other = stack.channel(ann, members=[bob]), stack.channel(ann)
    _, token = uploaded(stack, ann, channel)
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1:]
    async with Client(stack, ann) as a, Client(stack, bob) as b:
        assert "another user" in await refused(b, channel, token)
        assert "another channel" in await refused(a, other, token)
        assert "not signed" in await refused(a, channel, changed)
        for text in ("", "x", "a1.", "a1.e30.", token[:-1], token + "A", "a2" + token[2:], "A" * 3000):
            assert "attachments[0]" in await refused(a, channel, text)
        assert "attachments[1]" in await refused(a, channel, token, "x")
        assert "already" in await refused(a, channel, token, token)
        assert "at most 10" in await refused(a, channel, *[token] * 11)
        ack = await a.send(channel, "look", attachments=[token])
        await a.wait_seq(channel, ack["seq"])
        assert len(a.messages(channel)) == 1


async def test_a_retry_is_the_same_message(stack):
    ann = user()
    channel = stack.channel(ann)
    file, token = uploaded(stack, ann, channel)
    with Uploader(stack, ann) as uploader:
        renewed = uploader.describe(file["id"], channel).json()["descriptor"]
    async with Client(stack, ann) as a:
        first = await a.send(channel, "look", attachments=[token])
        again = await a.send(channel, "look", id=first["id"], retry=True, attachments=[renewed])
        assert again["duplicate"] and again["seq"] == first["seq"]
        with pytest.raises(Refused) as error:  # without its file it is another message
            await a.send(channel, "look", id=first["id"], retry=True)
        assert error.value.code == "id_conflict"


async def test_by_rest(stack):
    ann, bob = user(), user()
    channel = stack.channel(ann, members=[bob])
    file, token = uploaded(stack, ann, channel)
    path = f"/api/channels/{channel}/messages"
    with stack.rest(ann) as rest, stack.rest(bob) as other:
        answer = rest.post(path, json={"content": "", "attachments": [token]})
        assert answer.status_code == 201, answer.text
        for client, attachments, part in ((other, [token], "another user"), (rest, ["x"], "attachments[0]"), (rest, [token, token], "already"),
                                          (rest, [token] * 11, "at most 10")):
            wrong = client.post(path, json={"content": "hi", "attachments": attachments})
            assert wrong.status_code == 400 and part in wrong.json()["detail"], wrong.text
        assert "content" in rest.post(path, json={"content": ""}).json()["detail"]
        again = rest.post(path, json={"id": answer.json()["id"], "content": "", "attachments": [token], "retry": True})
        assert again.status_code == 200 and again.json()["seq"] == answer.json()["seq"]
    stack.wait_ingested(ann, channel, answer.json()["seq"])
    assert page(stack, bob, channel)[0]["attachments"] == [file]


async def test_a_retry_outlives_its_descriptor(own_stack):
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_DESCRIPTOR_TTL_S=2)
    file, token = uploaded(stack, "ann", "general")
    path, sent, never = "/api/channels/general/messages", str(uuid.uuid4()), str(uuid.uuid4())
    async with Client(stack, "ann") as ann, asyncio.timeout(60):
        with Uploader(stack, "ann") as uploader, stack.rest("ann") as rest:
            async def send(retry):
                """Under the same id, with another descriptor as often as one has expired: the machine may be slow"""
                nonlocal token
                while True:
                    try:
                        return await ann.send("general", "look", id=sent, retry=retry, attachments=[token])
                    except Refused as error:
                        if error.code == "unavailable":  # history has just begun
                            continue
                        assert error.code == "bad_request" and "has expired" in str(error)
                        token = uploader.describe(file["id"], "general").json()["descriptor"]

            first = await send(False)
            while True:
                try:
                    await ann.send("general", "look", attachments=[token])
                except Refused as error:
                    assert error.code == "bad_request" and "message.attachments[0] has expired" in str(error)
                    break
            again = await ann.send("general", "look", id=sent, retry=True, attachments=[token])
            assert again["duplicate"] and again["seq"] == first["seq"]
            by_rest = rest.post(path, json={"id": sent, "content": "look", "attachments": [token], "retry": True})
            assert by_rest.status_code == 200 and by_rest.json()["seq"] == first["seq"], by_rest.text
            other = rest.post(path, json={"id": sent, "content": "other", "attachments": [token], "retry": True})
            assert other.status_code == 409 and other.json()["code"] == "id_conflict", other.text
            # what is not stored is not stored now
            with pytest.raises(Refused) as error:
                await ann.send("general", "look", id=never, retry=True, attachments=[token])
            assert error.value.code == "bad_request" and "message.attachments[0] has expired" in str(error.value)
            for retry in (False, True):
                refused_by_rest = rest.post(path, json={"id": never, "content": "look", "attachments": [token], "retry": retry})
                assert refused_by_rest.status_code == 400 and "attachments[0] has expired" in refused_by_rest.json()["detail"], refused_by_rest.text
            # and as long as that cannot be known, it is not said
            stack.stop("history")
            with pytest.raises(Refused) as error:
                await ann.send("general", "look", id=never, retry=True, attachments=[token])
            assert error.value.code == "unavailable"
            stack.start("history")
            sent, token = never, uploader.describe(file["id"], "general").json()["descriptor"]
            assert (await send(True))["seq"] > first["seq"]


async def test_descriptors_expire_and_files_can_be_off(own_stack):
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_DESCRIPTOR_TTL_S=3)
    file, token = uploaded(stack, "ann", "general")
    async with Client(stack, "ann") as ann:
        deadline = asyncio.get_running_loop().time() + 20
        while True:
            try:
                await ann.send("general", "look", attachments=[token])
            except Refused as error:
                assert error.code == "bad_request"
                break
            assert asyncio.get_running_loop().time() < deadline, "a descriptor has an end"
        with Uploader(stack, "ann") as uploader:
            fresh = uploader.describe(file["id"], "general").json()["descriptor"]
        await ann.send("general", "look", attachments=[fresh])
