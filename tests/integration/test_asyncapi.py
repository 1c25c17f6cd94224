"""docs/asyncapi.yaml: its examples are what the schema allows, and what really comes over NATS is as it says."""

import asyncio
import re
import uuid

import nats
import pytest
import yaml
from google.protobuf.json_format import MessageToDict, ParseDict
from jsonschema import Draft202012Validator

from support import schema  # noqa: F401
from support.client import Client
from support.stack import ROOT
from support.uploads import Uploader

SPEC = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
MESSAGES = SPEC["components"]["messages"]


def target(reference):
    node = SPEC
    for step in reference["$ref"].removeprefix("#/").split("/"):
        node = node[step]
    return node


def type_of(message):
    """The class of a documented message, of the file that its payload refers to."""
    path = ROOT / "docs" / message["payload"]["schema"]["$ref"]
    return getattr(getattr(schema, path.stem + "_pb2"), message["x-protobuf-message"].removeprefix("parley.v1."))


def test_it_is_whole():
    assert SPEC["asyncapi"] == "3.0.0"
    told = [target(o["channel"]) for o in SPEC["operations"].values()]
    told += [target(o["reply"]["channel"]) for o in SPEC["operations"].values() if o["action"] == "receive"]  # who asks is told
    assert all(c in told for c in SPEC["channels"].values()) and {o["action"] for o in SPEC["operations"].values()} == {"send", "receive"}
    used = [target(m) for c in SPEC["channels"].values() for m in c["messages"].values()]
    assert all(m in used for m in MESSAGES.values())
    subjects = (ROOT / "docs/subjects.md").read_text()
    for channel in SPEC["channels"].values():
        if channel["address"] is None:  # an inbox
            continue
        named = set(re.findall(r"{(\w+)}", channel["address"]))
        assert named == set(channel.get("parameters", {}))
        for names in channel.get("parameters", {}).values():
            assert target(names) if "$ref" in names else names["description"]
        shown = re.sub(r"{(\w+)}", lambda m: {"shard": "<p>", "userId": "<user>", "channelId": "<channel>", "service": "<service>"}[m[1]], channel["address"])
        assert f"`{shown}`" in subjects, f"docs/subjects.md does not name {shown}"


@pytest.mark.parametrize("name", MESSAGES)
def test_examples(name):
    message = MESSAGES[name]
    assert message["examples"]
    for example in message["examples"]:
        parsed = ParseDict(example["payload"], type_of(message)())  # refuses unknown names and wrong types
        assert MessageToDict(parsed) == example["payload"]
        Draft202012Validator(message.get("headers", {})).validate(example.get("headers", {}))


def keys(value, path=""):
    """The names of all members, with those that they lie in."""
    if isinstance(value, list):
        return {k for v in value for k in keys(v, path)}
    if not isinstance(value, dict):
        return set()
    return {k for name, v in value.items() for k in {path + name, *keys(v, f"{path}{name}.")}}


def conforms(channel, message, came):
    """What came, as the page's JSON. Every required header is there, every member is in some example."""
    pattern = re.sub(r"{\w+}", "[A-Za-z0-9_-]{1,64}", channel["address"].replace(".", r"\.")) if channel["address"] else r"_INBOX\..*"
    assert re.fullmatch(pattern, came.subject), came.subject
    Draft202012Validator(message.get("headers", {})).validate(dict(came.headers or {}))
    parsed = type_of(message).FromString(came.data)
    assert parsed.SerializeToString() and came.data, "nothing is in it"
    value = MessageToDict(parsed)
    shown = set().union(*(keys(e["payload"]) for e in message["examples"]))
    assert keys(value) <= shown, f"{came.subject}: no example has {keys(value) - shown}"
    return value


class Ear:
    """Hears one channel of the page."""

    def __init__(self, name):
        self.channel, self.came = SPEC["channels"][name], asyncio.Queue()
        (message,) = self.channel["messages"].values()
        self.message = target(message)

    async def listen(self, nc, **values):
        await nc.subscribe(self.channel["address"].format(**values), cb=self.came.put)
        return self

    async def hears(self, condition, timeout=15):
        """The first that meets the condition; all that come are held against the page."""
        async with asyncio.timeout(timeout):
            while True:
                value = conforms(self.channel, self.message, await self.came.get())
                if condition(value):
                    return value


async def test_what_comes(stack):
    ada, bob = f"ada-{uuid.uuid4().hex[:8]}", f"bob-{uuid.uuid4().hex[:8]}"
    channel = await asyncio.to_thread(stack.channel, ada)
    nc = await nats.connect(stack.nats_url)
    try:
        here = await Ear("presence").listen(nc, userId=ada)
        changes = await Ear("presenceChanges").listen(nc)
        signal = await Ear("userSignal").listen(nc, userId=bob)
        live = await Ear("live").listen(nc, shard=0, channelId=channel)
        file = await Ear("uploadCompleted").listen(nc)
        dead = await Ear("deadLetter").listen(nc, service="history")
        await nc.flush()
        async with Client(stack, ada) as client:
            await here.hears(lambda u: u.get("availability") == "online" and u["devices"] == ["web"])
            await changes.hears(lambda m: any(c["user"]["userId"] == ada and c["user"].get("availability") == "online" for c in m.get("changes", ())))
            question = type_of(MESSAGES["presenceQuery"])(user_ids=[ada, "nobody-of-them"])
            came = await nc.request(SPEC["channels"]["presenceQuery"]["address"], question.SerializeToString(), timeout=10)
            answer = conforms(SPEC["channels"]["presenceAnswer"], MESSAGES["presenceAnswer"], came)
            assert [u["user"]["availability"] for u in answer["users"]] == ["online"] and answer["hiddenUserIds"] == ["nobody-of-them"]
            ack = await client.send(channel, "hi")
            assert (await live.hears(lambda e: e["id"] == ack["id"]))["message"]["content"] == "hi"
        await here.hears(lambda u: "availability" not in u and u["lastSeenAt"].endswith(":00Z"))
        with Uploader(stack, ada) as up:
            done = await asyncio.to_thread(up.uploaded, channel, b"hi", name="notes.txt", contentType="text/plain")
        assert (await file.hears(lambda f: f["userId"] == ada))["attachment"]["id"] in str(done)
        elsewhere = await asyncio.to_thread(stack.channel, ada, [bob])
        await signal.hears(lambda s: elsewhere in str(s["membershipsChanged"]["memberships"]))
        subject = f"chat.0.c-{uuid.uuid4().hex[:8]}"
        stored = await nc.jetstream().publish(subject, b"\xff\xff no event")
        letter = await dead.hears(lambda d: d["subject"] == subject)
        assert letter["seq"] == str(stored.seq) and letter["reason"]
    finally:
        await nc.close()


def test_a_wrong_page_is_found():
    """The comparison can fail: an unknown member, a missing header, a member that no example has."""
    came = type("Msg", (), {"subject": "upload.completed", "headers": {}, "data": b"\x12\x03ada"})
    with pytest.raises(Exception, match="Nats-Msg-Id"):
        conforms(SPEC["channels"]["uploadCompleted"], MESSAGES["storedFile"], came)
    came.headers = {"Nats-Msg-Id": "1"}
    assert conforms(SPEC["channels"]["uploadCompleted"], MESSAGES["storedFile"], came) == {"userId": "ada"}
    with pytest.raises(AssertionError, match="userId"):
        conforms(SPEC["channels"]["uploadCompleted"], {**MESSAGES["storedFile"], "examples": [{"payload": {}}]}, came)
