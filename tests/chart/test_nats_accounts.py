"""The rights that the chart gives: a real nats-server with the rendered users, and what each of them may and may not."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from support.schema import presence_pb2, upload_pb2
from support_chart import MATRIX, ROOT, render

NOBODYS = "of.nobody"
USERS = ("gateway", "history", "presence", "upload", "setup", "scanner", "integration", "operator", "system", "routes")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("nats"), free_port()
    objects = render(*MATRIX["trial"], "--set", "shards=2")
    (folder / "accounts.conf").write_text(objects["ConfigMap", "parley-nats-accounts"]["data"]["accounts.conf"])
    (folder / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data" }}\ninclude "accounts.conf"\n')
    env = {**os.environ, **{f"NATS_{user.upper()}_PASSWORD": f"p{user}" for user in USERS}}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ROOT / ".deps/prefix/bin/nats-server", "-c", folder / "nats.conf"], env=env, stdout=log, stderr=log)
        yield f"nats://127.0.0.1:{port}"
        process.terminate()
        process.wait()


class Session:
    """A connection of one user, and what the server refused it"""

    def __init__(self, url, user):
        self.url, self.user, self.text = url, user, ""

    async def open(self):
        async def on_error(error):
            self.text += str(error).lower() + "\n"
        inbox = f"_INBOX.{self.user}".encode()
        self.nc = await nats.connect(self.url, inbox_prefix=inbox, user=self.user, password=f"p{self.user}", error_cb=on_error, allow_reconnect=False, connect_timeout=10)
        return self

    async def refused(self, use, subjects):
        """Those of the subjects that the server refuses. It answers in order: what is refused to all is the last."""
        for subject in [*subjects, NOBODYS]:
            await use(subject)
        deadline = asyncio.get_running_loop().time() + 20
        while f'"{NOBODYS}"' not in self.text:
            assert asyncio.get_running_loop().time() < deadline, f"nothing is refused: {self.text}"
            await asyncio.sleep(0.01)  # the interval of a poll with a deadline
        return [s for s in subjects if f'"{s.lower()}"' in self.text]


async def connect(url, user):
    """The server may still be starting"""
    deadline = asyncio.get_running_loop().time() + 20
    while True:
        try:
            return await Session(url, user).open()
        except (OSError, nats.errors.Error):
            assert asyncio.get_running_loop().time() < deadline, "nats-server does not answer"
            await asyncio.sleep(0.1)  # the interval of a poll with a deadline


PUBLISH = [
    # user, may, may not
    ("gateway", ["chat.0.general", "chat.1.x", "digest.0", "presence.gw.a", "rpc.history.events", "$JS.API.STREAM.INFO.CHAT_1", "$JS.API.DIRECT.GET.CHAT_0.chat.0.x",
                 "$JS.API.STREAM.MSG.GET.KV_MEMBERS", "$JS.API.STREAM.MSG.GET.KV_PRESENCE"],
     ["$KV.PRESENCE.ada", "$JS.API.STREAM.DELETE.CHAT_0", "$JS.API.STREAM.PURGE.CHAT_0", "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.CHAT_0", "$JS.API.STREAM.MSG.DELETE.CHAT_0",
      "$KV.MEMBERS.ada", "$KV.CHANNELS.x", "live.0.general", "live.user.ada", "dlq.history", "upload.completed", "$KV.FILES.file.x"]),
    ("history", ["chat.0.general", "rpc.upload.release", "live.user.ada", "dlq.history", "$KV.MEMBERS.ada", "$JS.API.STREAM.PURGE.CHAT_0", "$JS.API.STREAM.MSG.DELETE.CHAT_1",
                 "$JS.API.CONSUMER.CREATE.CHAT_0.name.chat.0.>".replace(".>", ".x")],
     ["$JS.API.STREAM.DELETE.CHAT_0", "$JS.API.STREAM.CREATE.CHAT_0", "$JS.API.STREAM.UPDATE.CHAT_0", "live.0.general", "$KV.FILES.file.x", "$KV.PRESENCE.ada",
      "$JS.API.STREAM.PURGE.KV_MEMBERS"]),
    ("presence", ["presence.changes", "presence.user.ada", "$KV.PRESENCE.ada", "$JS.API.CONSUMER.CREATE.KV_MEMBERS.x.y"],
     ["chat.0.general", "live.0.general", "live.user.ada", "$KV.MEMBERS.ada", "$JS.API.STREAM.DELETE.KV_PRESENCE", "$JS.API.STREAM.INFO.CHAT_0"]),
    ("upload", ["upload.completed", "rpc.history.files", "$JS.API.STREAM.PURGE.KV_UPLOADS", "$JS.API.STREAM.PURGE.KV_FILES", "$KV.UPLOADS.x", "$KV.FILES.file.x", "$JS.API.STREAM.MSG.GET.KV_MEMBERS"],
     ["chat.0.general", "$KV.MEMBERS.ada", "$JS.API.STREAM.DELETE.KV_FILES", "$JS.API.STREAM.PURGE.KV_MEMBERS", "live.user.ada", "rpc.history.events"]),
    ("setup", ["$JS.API.STREAM.CREATE.CHAT_0", "$JS.API.STREAM.UPDATE.CHAT_0", "$JS.API.STREAM.PURGE.CHAT_0", "$JS.API.STREAM.INFO.KV_FILES"],
     ["$JS.API.STREAM.DELETE.CHAT_0", "$JS.API.STREAM.PURGE.KV_MEMBERS", "chat.0.general", "$KV.MEMBERS.ada"]),
    ("scanner", ["$JS.API.CONSUMER.INFO.SYSTEM.scanner", "$JS.API.CONSUMER.CREATE.SYSTEM.scanner.upload.completed", "$JS.API.CONSUMER.DURABLE.CREATE.SYSTEM.scanner",
                 "$JS.API.CONSUMER.MSG.NEXT.SYSTEM.scanner", "$JS.ACK.SYSTEM.scanner.1.2.3.4.5"],
     ["chat.0.general", "upload.completed", "$JS.API.CONSUMER.CREATE.SYSTEM.scanner.dlq.history", "$JS.API.CONSUMER.CREATE.SYSTEM.other.upload.completed",
      "$JS.API.CONSUMER.DELETE.SYSTEM.scanner", "$JS.API.CONSUMER.CREATE.CHAT_0.scanner.upload.completed", "$JS.API.STREAM.INFO.SYSTEM", "$JS.API.STREAM.MSG.GET.SYSTEM",
      "$JS.API.STREAM.DELETE.SYSTEM", "$JS.ACK.SYSTEM.other.1.2.3.4.5", "$KV.FILES.file.x"]),
    ("operator", ["$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.SYSTEM", "$JS.API.STREAM.PEER.REMOVE.CHAT_0", "$JS.API.STREAM.SNAPSHOT.KV_FILES", "$JS.API.STREAM.LEADER.STEPDOWN.CHAT_0",
                  "$JS.API.STREAM.RESTORE.KV_FILES", "$JS.SNAPSHOT.ACK.KV_FILES.x"],
     ["chat.0.general", "live.0.general", "$KV.MEMBERS.ada", "gateway.membership", "rpc.upload.release", "$SYS.REQ.SERVER.PING"]),
    ("integration", ["rpc.presence.query"], ["rpc.presence.status", "presence.changes", "presence.user.ada", "presence.sync", "chat.0.general", "live.0.general", "rpc.history.events", "$JS.API.STREAM.INFO.CHAT_0", "$KV.MEMBERS.ada"]),
]
SUBSCRIBE = [
    ("gateway", ["live.0.>", "live.user.ada", "presence.sync", "gateway.membership"], ["chat.0.>", "$KV.MEMBERS.>", "rpc.history.events", ">"]),
    ("history", ["rpc.history.events", "gateway.alive"], ["live.0.>", "chat.0.>", ">"]),
    ("presence", ["presence.gw.*", "gateway.alive", "rpc.presence.query"], ["live.0.>", "chat.0.>", "rpc.history.events", ">"]),
    ("upload", ["rpc.upload.release"], ["live.0.>", "chat.0.>", "presence.changes"]),
    ("setup", ["_INBOX.setup.*.x.*"], ["live.0.>", "chat.0.>"]),
    ("operator", ["_INBOX.>"], ["live.0.>", "chat.0.>", "presence.changes", "$KV.MEMBERS.>", "$SYS.>"]),
    ("scanner", ["_INBOX.scanner.x.*"], ["_INBOX.>", "_INBOX.x.*", "upload.completed", "live.0.>", "dlq.>", "$KV.FILES.>"]),
    ("integration", ["live.0.>", "live.1.general", "presence.user.ada", "presence.changes", "_INBOX.integration.presence.x.*"],
     ["presence.gw.*", "presence.>", "rpc.presence.query", "live.user.ada", "live.>", "chat.0.>", "_INBOX.>", "$KV.MEMBERS.>"]),
]


# who asks -> who answers him; JetStream, which answers all, is no user
ANSWERERS = {"gateway": ("history", "presence"), "history": ("gateway", "upload"), "upload": ("history",), "presence": (), "setup": (), "scanner": (), "operator": (), "integration": ("presence",)}
INBOXES = [f"_INBOX.{user}.{who}.0a1b.1" for user in ANSWERERS for who in ("JS", "chat", "KV", "0a1b", *ANSWERERS)] + ["_INBOX.0a1b.1"]


@pytest.mark.parametrize("user", sorted({row[0] for row in PUBLISH}))
async def test_a_user_writes_the_answers_that_are_his(server, user):
    """Nobody those of JetStream, whose acks and memberships are believed"""
    session = await connect(server, user)
    his = {f"_INBOX.{asks}.{user}.0a1b.1" for asks, answerers in ANSWERERS.items() if user in answerers}
    assert await session.refused(lambda subject: session.nc.publish(subject, b""), INBOXES) == [s for s in INBOXES if s not in his]
    await session.nc.close()


@pytest.mark.parametrize("user", sorted({row[0] for row in SUBSCRIBE} - {"operator"}))
async def test_a_user_hears_the_answers_to_him(server, user):
    session, subjects = await connect(server, user), ["_INBOX.>", "_INBOX.*.*.0a1b.*", "_INBOX.0a1b.*", *(f"_INBOX.{asks}.*.0a1b.*" for asks in ANSWERERS)]
    assert await session.refused(session.nc.subscribe, subjects) == [s for s in subjects if not s.startswith(f"_INBOX.{user}.")]
    await session.nc.close()


@pytest.mark.parametrize("user, may, may_not", PUBLISH, ids=[row[0] for row in PUBLISH])
async def test_what_a_user_may_publish(server, user, may, may_not):
    session = await connect(server, user)
    assert await session.refused(lambda subject: session.nc.publish(subject, b""), [*may, *may_not]) == may_not
    await session.nc.close()


@pytest.mark.parametrize("user, may, may_not", SUBSCRIBE, ids=[row[0] for row in SUBSCRIBE])
async def test_what_a_user_may_subscribe(server, user, may, may_not):
    session = await connect(server, user)
    assert await session.refused(session.nc.subscribe, [*may, *may_not]) == may_not
    await session.nc.close()


async def test_the_example_of_a_scanner_needs_no_more(server, tmp_path):
    """With nobody to ask about files it tries again later: it made its consumer, was given a file, and gave it back, which comes again then"""
    setup, upload = await connect(server, "setup"), await connect(server, "upload")
    await setup.nc.jetstream().add_stream(name="SYSTEM", subjects=["upload.completed", "dlq.>"])
    await upload.nc.publish("upload.completed", upload_pb2.StoredFile(attachment={"id": "f1"}).SerializeToString())
    await upload.nc.flush()
    env = {**os.environ, "PARLEY_URL": f"http://127.0.0.1:{free_port()}", "PARLEY_SCAN_TOKEN": "none", "PYTHONPATH": str(Path(upload_pb2.__file__).parents[2]),
           "PARLEY_NATS_URL": server.replace("//", "//scanner:pscanner@")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-u", ROOT / "examples/python/scanner.py"], env=env, stdout=log, stderr=log)
    try:
        deadline = asyncio.get_running_loop().time() + 30
        while (text := (tmp_path / "log").read_text()).count("f1 again later") < 2:
            assert process.poll() is None and asyncio.get_running_loop().time() < deadline, text
            await asyncio.sleep(0.1)  # the interval of a poll with a deadline
        assert "ermission" not in text, text
    finally:
        process.kill()
        process.wait()
    await setup.nc.close()
    await upload.nc.close()


async def test_the_example_of_a_mirror_needs_no_more(server, tmp_path):
    """It hears presence, asks it when something was missed, and is answered"""
    presence, asked = await connect(server, "presence"), []

    async def answer(msg):
        asked.append(list(presence_pb2.PresenceQuery.FromString(msg.data).user_ids))
        change = {"user": {"user_id": "ada", "availability": "online"}, "version": 1}
        await msg.respond(presence_pb2.PresenceAnswer(source="s", counter=1, users=[change], hidden_user_ids=["bob"]).SerializeToString())
    await presence.nc.subscribe("rpc.presence.query", cb=answer)
    env = {**os.environ, "PYTHONPATH": str(Path(presence_pb2.__file__).parents[2]), "PARLEY_NATS_URL": server.replace("//", "//integration:pintegration@")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-u", ROOT / "examples/python/presence.py", "ada", "bob"], env=env, stdout=log, stderr=log)
    try:
        deadline, counter = asyncio.get_running_loop().time() + 30, 0
        while "bob offline" not in (text := (tmp_path / "log").read_text()):
            assert process.poll() is None and asyncio.get_running_loop().time() < deadline, text
            await presence.nc.publish("presence.changes", presence_pb2.PresenceChanges(source="s", counter=(counter := counter + 1)).SerializeToString())
            await asyncio.sleep(0.1)  # the interval of a poll with a deadline
        assert "ada online" in text and "ermission" not in text + presence.text and asked[0] == ["ada", "bob"], text
    finally:
        process.kill()
        process.wait()
    await presence.nc.close()


async def test_nobody_comes_without_a_password(server):
    await (await connect(server, "gateway")).nc.close()
    for user, password in (("gateway", "wrong"), (None, None)):
        with pytest.raises(nats.errors.Error):
            await nats.connect(server, user=user, password=password, allow_reconnect=False, max_reconnect_attempts=1)


async def test_the_calls_of_the_runbook(server):
    """What `nats` asks when the operator looks at streams and dead letters, and what only the user of the system account may"""
    operator, setup, history = await connect(server, "operator"), await connect(server, "setup"), await connect(server, "history")
    reply = await ask(setup, "$JS.API.STREAM.CREATE.SYSTEM", {"name": "SYSTEM", "subjects": ["upload.completed", "dlq.>"]})
    assert "error" not in reply or "in use" in reply["error"]["description"], reply
    await history.nc.publish("dlq.history", b"letter")
    await history.nc.flush()
    assert "SYSTEM" in [s["config"]["name"] for s in (await ask(operator, "$JS.API.STREAM.LIST", {}))["streams"]]
    assert (await ask(operator, "$JS.API.STREAM.MSG.GET.SYSTEM", {"last_by_subj": "dlq.history"}))["message"]["subject"] == "dlq.history"
    snapshot = await ask(operator, "$JS.API.STREAM.SNAPSHOT.SYSTEM", {"deliver_subject": operator.nc.new_inbox()})
    assert snapshot["config"]["name"] == "SYSTEM", snapshot
    system = await connect(server, "system")
    assert "server" in await ask(system, "$SYS.REQ.SERVER.PING", {})
    for session in (operator, setup, history, system):
        assert "ermission" not in session.text, session.text
        await session.nc.close()


async def ask(session, subject, body):
    return json.loads((await session.nc.request(subject, json.dumps(body).encode(), timeout=10)).data)
