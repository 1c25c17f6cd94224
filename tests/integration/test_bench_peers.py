"""The systems that Parley is measured against do what the load generator expects of them, and files that describe others are read strictly."""

import asyncio
import json
import sys
import uuid

import psycopg
import pytest
import websockets
from support.stack import ROOT

PEERS = ROOT / "bench/peers"
sys.path += [str(ROOT / "bench"), str(PEERS)]

import external  # noqa: E402
from harness.system import peers  # noqa: E402


@pytest.fixture(scope="module")
def strategy2():
    system = peers()["strategy2"]()
    try:
        system.start()
        yield system
    finally:
        system.stop()


async def member(system, user, room):
    ws = await websockets.connect(system.url.replace("{user}", user))
    for sent in (None, system.dialect.join.replace("{room}", room)):
        if sent:
            await ws.send(sent)
        assert system.dialect.ready in await asyncio.wait_for(ws.recv(), 10)
    return ws


def filled(system, **values):
    text = system.dialect.send
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


async def test_a_peer_stores_acknowledges_and_hands_to_the_room(strategy2):
    ada, bob, eve = [await member(strategy2, user, room) for user, room in (("ada", "r1"), ("bob", "r1"), ("eve", "r2"))]
    id = str(uuid.uuid4())
    await ada.send(filled(strategy2, room="r1", id=id, ref=7, content="hello"))
    heard = json.loads(await asyncio.wait_for(bob.recv(), 10))
    assert strategy2.dialect.event in json.dumps(heard, separators=(",", ":"))
    assert (heard["message"]["id"], heard["message"]["content"], heard["message"]["senderId"]) == (id, "hello", "ada")
    answers = [await asyncio.wait_for(ada.recv(), 10) for _ in range(2)]
    assert sorted(answer.startswith(strategy2.dialect.ack + "7,") for answer in answers) == [False, True]
    with psycopg.connect(host=str(strategy2.stack.run_dir / "postgres-socket"), port=8432 + strategy2.stack.offset, user="parley", dbname="parley") as db:
        assert db.execute("SELECT channel_id, content FROM messages WHERE id = %s", (id,)).fetchall() == [("r1", "hello")]
    # what eve hears first is her own
    await eve.send(filled(strategy2, room="r2", id=uuid.uuid4(), ref=1, content="other"))
    assert json.loads(await asyncio.wait_for(eve.recv(), 10))["channelId"] == "r2"
    for ws in (ada, bob, eve):
        await ws.close()


async def test_a_message_that_is_not_stored_is_not_acknowledged(strategy2):
    ada = await member(strategy2, "ada", "r3")
    for ref in (1, 2):  # the same id again: Postgres refuses it
        await ada.send(filled(strategy2, room="r3", id="6f1c9a52-3c1e-4a57-9a0e-0d3b7f5a1c11", ref=ref, content="x"))
    frames = [json.loads(await asyncio.wait_for(ada.recv(), 10)) for _ in range(3)]
    assert sorted(frame["type"] for frame in frames) == ["ack", "error", "event"]
    await ada.close()


def write(folder, **spec):
    path = folder / "x.json"
    path.write_text(json.dumps({"name": "x", "what": "a test", "send": "{content}", "event": "e", **spec}))
    return path


@pytest.mark.parametrize("spec, complaint", [
    ({"sned": "y"}, "there is no 'sned'"),
    ({"event": None, "start": ["x"], "url": "ws://x"}, "with 'start' come 'url' and 'healthy'"),
])
def test_a_wrong_description_is_refused_by_name(tmp_path, spec, complaint):
    with pytest.raises(external.AdapterError, match=complaint):
        external.read(write(tmp_path, **spec))


def test_a_running_system_is_measured_where_the_environment_says(tmp_path, monkeypatch):
    system = external.read(write(tmp_path, audience="others", hello="hi {user}"))
    assert not external.here(system)
    monkeypatch.setenv("PARLEY_BENCH_X_URL", "ws://127.0.0.1:1/there")
    assert external.here(system)
    running = system()
    running.start()
    assert (running.url, running.audience, running.dialect.hello, running.pids()) == ("ws://127.0.0.1:1/there", "others", "hi {user}", {})
    running.stop()


def test_every_description_of_the_folder_can_be_read():
    found = [external.read(path).name for path in PEERS.glob("*.json") if not path.name.startswith("package")]
    assert found == ["centrifugo"]
