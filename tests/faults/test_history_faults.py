"""History under faults: processes that end or hang, a database that is away, empty or old, a log that is gone."""

import asyncio
import json
import signal
import subprocess
import time
import uuid

import httpx
import pytest
from nats.js.errors import APIError
from support.log import Log, SecondHistory, check_chains, database, ingested
from support.schema import internal_pb2
from support.stack import wait_until


def count(stack, sql, *args):
    with database(stack) as db:
        return db.execute(sql, args).fetchone()[0]


async def burst(log, channels, n, users=20):
    """Publishes n messages over the channels and returns the last sequence."""
    events = [log.message(channels[i % len(channels)], f"user-{i % users}", f"{i}") for i in range(n)]
    return max(await log.publish_many(events))


async def test_exactly_once_over_kills_in_a_burst(own_stack):
    stack = own_stack()
    channels = [f"burst-{i}" for i in range(7)]
    async with Log(stack) as log:
        n, kills = 30000, 4
        for _ in range(kills):  # each has a burst of its own: one that is too quick would leave nothing to kill in
            mark = stack.metric("history", "parley_history_ingested_events_total")
            sender = asyncio.create_task(burst(log, channels, n // kills))
            await asyncio.to_thread(wait_until, lambda m=mark: stack.metric("history", "parley_history_ingested_events_total") > m + 500, 30, "ingest under way")
            await asyncio.to_thread(stack.kill, "history")
            await asyncio.to_thread(stack.start, "history")
            last = await sender
        await asyncio.to_thread(ingested, stack, last, 60)
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id LIKE 'burst-%%'") == n
    assert count(stack, "SELECT count(*) FROM events WHERE channel_id LIKE 'burst-%%' AND removed IS NULL") == n
    check_chains(stack)


@pytest.mark.parametrize("point", ["history.ingest.before_commit", "history.ingest.after_commit"])
async def test_killed_at_the_commit(own_stack, point):
    stack = own_stack(build="faults")
    channel = stack.channel("ada")
    stack.stop("history")
    stack.start("history", PARLEY_FAILPOINTS=f"{point}=kill@5")
    async with Log(stack) as log:
        deadline = time.monotonic() + 20
        while stack.alive("history"):
            assert time.monotonic() < deadline, "the failpoint was not reached"
            await log.publish(log.message(channel, "ada", "x"))
            await asyncio.sleep(0.002)  # the rate of the traffic
        stack.start("history")
        last = await log.publish(log.message(channel, "ada", "the end"))
        await asyncio.to_thread(ingested, stack, last)
        assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == len([e for _, e in await log.events(channel) if e.HasField("message")])
    check_chains(stack)


async def test_killed_between_puback_and_bucket(own_stack):
    """The change is in the log, but in no bucket, and its request was never answered: after the start it is whole, and once."""
    stack = own_stack(build="faults")
    channel = stack.channel("ada")
    stack.stop("history")
    stack.start("history", PARLEY_FAILPOINTS="history.outbox.after_puback=kill")
    with stack.rest("ada") as rest:
        answer = rest.post(f"/api/channels/{channel}/members", json={"userId": "bob"})
        assert answer.status_code in (502, 503, 504), answer.text
    wait_until(lambda: not stack.alive("history"), 10)
    stack.start("history")
    async with Log(stack) as log:
        async def whole():
            value, _ = await log.memberships("bob")
            entry = next((m for m in value.memberships if m.channel_id == channel), None) if value else None
            return entry and entry.role == 2 and entry.since_seq > 0 and entry

        while not (entry := await whole()):
            await asyncio.sleep(0.05)  # a poll; the test's own deadline ends it
        joined = [seq for seq, e in await log.events(channel) if e.HasField("member_joined") and e.member_joined.user_id == "bob"]
        assert joined == [entry.since_seq]
    wait_until(lambda: count(stack, "SELECT count(*) FROM outbox") == 0, what="an empty outbox")


async def test_changes_while_nats_is_away(own_stack):
    stack = own_stack()
    channel = stack.channel("ada", members=["eve"])
    stack.kill("nats-server")
    with stack.rest("ada") as rest:
        for method, path, body, status in (("POST", "members", {"userId": "bob"}, 202), ("DELETE", "members/eve", None, 202)):
            answer = rest.request(method, f"/api/channels/{channel}/{path}", json=body)
            assert answer.status_code == status, answer.text
        made = rest.post("/api/channels", json={"name": "made meanwhile", "members": ["bob"]})
        assert made.status_code == 202
        # reading goes on, and the members of now are the ones who may
        assert rest.get(f"/api/channels/{channel}/messages").status_code == 200
        with stack.rest("eve") as eve:
            assert eve.get(f"/api/channels/{channel}/messages").status_code == 403
        refused = rest.post(f"/api/channels/{channel}/messages", json={"content": "x"})
        assert refused.status_code == 503 and refused.json()["code"] == "unavailable" and refused.headers["retry-after"]
    assert httpx.get(stack.admin_url("history") + "/readyz").json()["checks"]["nats"] is False
    stack.start("nats-server")
    wait_until(lambda: count(stack, "SELECT count(*) FROM outbox") == 0, 30, "an empty outbox")
    async with Log(stack) as log:
        joined = [e.member_joined.user_id for _, e in await log.events(channel) if e.HasField("member_joined")]
        left = [e.member_left.user_id for _, e in await log.events(channel) if e.HasField("member_left")]
        assert sorted(joined) == ["ada", "bob", "eve"] and left == ["eve"]
        wait_until(lambda: count(stack, "SELECT count(*) FROM dirty") == 0, 30, "buckets that are up to date")
        value, _ = await log.memberships("bob")
        assert {m.channel_id for m in value.memberships} == {channel, made.json()["id"]}
    check_chains(stack)


async def test_postgres_away(own_stack):
    stack = own_stack()
    channel = stack.channel("ada")
    stack.stop("postgres")
    with stack.rest("ada") as rest:
        for request in (lambda: rest.get(f"/api/channels/{channel}/messages"), lambda: rest.post(f"/api/channels/{channel}/join"),
                        lambda: rest.get("/api/channels"), lambda: rest.post(f"/api/channels/{channel}/messages", json={"content": "x"})):
            answer = request()
            assert answer.status_code == 503 and answer.json()["code"] == "unavailable", answer.text
            assert answer.json()["retryMs"] > 0 and answer.headers["content-type"].startswith("application/problem+json")
            assert answer.elapsed.total_seconds() < 1
        assert rest.get("/api/me").status_code == 200
    ready = httpx.get(stack.admin_url("history") + "/readyz")
    assert ready.status_code == 503 and ready.json()["checks"]["postgres"] is False and ready.json()["checks"]["nats"] is True
    assert httpx.get(stack.admin_url("history") + "/healthz").status_code == 200
    async with Log(stack) as log:
        last = await burst(log, [channel], 3000)
        lookup = await log.ask("lookup", internal_pb2.LookupRequest(channel_id=channel, actor_id="ada", id=str(uuid.uuid4())))
        assert lookup.error.code == "unavailable"
        stack.start("postgres")
        await asyncio.to_thread(ingested, stack, last)
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 3000
    assert stack.metric("history", "parley_history_loop_turn_max_seconds") < 0.2
    check_chains(stack)


async def test_postgres_hangs(own_stack):
    """A database that takes connections and says nothing: requests end, and all goes on when it does."""
    stack = own_stack()
    channel = stack.channel("ada")
    backends = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(stack.pid("postgres"))], capture_output=True, text=True).stdout.split()]
    stopped = [stack.pid("postgres"), *backends]
    async with Log(stack) as log:
        try:
            for pid in stopped:
                signal_if_alive(pid, signal.SIGSTOP)
            last = await log.publish(log.message(channel, "ada", "meanwhile"))
            began = time.monotonic()
            with stack.rest("ada") as rest:
                answer = await asyncio.to_thread(rest.get, f"/api/channels/{channel}/messages")
            assert answer.status_code == 503 and time.monotonic() - began < 15
        finally:
            for pid in stopped:
                signal_if_alive(pid, signal.SIGCONT)
        await asyncio.to_thread(ingested, stack, last)
    check_chains(stack)


def signal_if_alive(pid, number):
    import os
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@pytest.mark.parametrize("history", ["stopped", "running"])
async def test_empty_postgres_takes_over_from_the_buckets(own_stack, history):
    stack = own_stack()
    channel = stack.channel("ada", members=["bob", "eve"], historyVisibility="joined")
    async with Log(stack) as log:
        await burst(log, [channel], 100)
        with stack.rest("ada") as rest:
            assert rest.delete(f"/api/channels/{channel}/members/eve").status_code == 204
            assert rest.patch(f"/api/channels/{channel}", json={"topic": "kept"}).status_code == 200
        last = await log.publish(log.message(channel, "ada", "the last before"))
        await asyncio.to_thread(ingested, stack, last)
        before = {user: await log.memberships(user) for user in ("ada", "bob", "eve")}
        channel_before = await log.channel(channel)
        if history == "stopped":
            stack.stop("history")
        with database(stack) as db:
            db.execute("DROP SCHEMA public CASCADE")
            db.execute("CREATE SCHEMA public")
        if history == "running":
            stack.kill("postgres")
            stack.start("postgres")
        stack.start("history")
        await asyncio.to_thread(ingested, stack, last)
        wait_until(lambda: count(stack, "SELECT count(*) FROM dirty") == 0, 30, "buckets that were compared")
        for user, (value, revision) in before.items():
            assert await log.memberships(user) == (value, revision), "an empty database wrote over a bucket"
        assert await log.channel(channel) == channel_before
        with stack.rest("ada") as rest:
            got = rest.get(f"/api/channels/{channel}").json()
            assert got["role"] == "owner" and got["channel"]["topic"] == "kept" and got["channel"]["historyVisibility"] == "joined"
            assert rest.get(f"/api/channels/{channel}/messages", params={"limit": 200}).json()["messages"][-1]["content"] == "the last before"
            assert [m["userId"] for m in rest.get(f"/api/channels/{channel}/members").json()["members"]] == ["ada", "bob"]
            # and changes go on from there
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": "eve"}).status_code == 201
        value, _ = await log.memberships("eve")
        assert value.version == before["eve"][0].version + 1
        with stack.rest("eve") as rest:
            assert rest.get(f"/api/channels/{channel}/messages").status_code == 200
    assert count(stack, "SELECT count(*) FROM channels WHERE id = 'general'") == 1
    check_chains(stack)


async def test_older_postgres_does_not_write_over_the_buckets(own_stack):
    """A backup is restored: what the buckets know better comes back, not the other way round."""
    stack = own_stack(PARLEY_LOG_KEEP_S=1)
    channel = stack.channel("ada", members=["bob"])
    with database(stack) as db:
        old = [db.execute(f"SELECT * FROM {t}").fetchall() for t in ("channels", "members")]
    with stack.rest("ada") as rest:
        assert rest.delete(f"/api/channels/{channel}/members/bob").status_code == 204
        assert rest.patch(f"/api/channels/{channel}", json={"name": "renamed"}).status_code == 200
    async with Log(stack) as log:
        value, revision = await log.memberships("bob")
        ingested(stack, await log.publish(log.message(channel, "ada", "x")))
        stack.stop("history")
        with database(stack) as db:
            for table, rows in zip(("channels", "members"), old):
                db.execute(f"DELETE FROM {table}")
                for row in rows:
                    db.execute(f"INSERT INTO {table} VALUES ({','.join(['%s'] * len(row))})", row)
        stack.start("history")
        wait_until(lambda: count(stack, "SELECT role FROM members WHERE user_id = 'bob' AND channel_id = %s", channel) == 0, 20, "the newer membership")
        with stack.rest("bob") as rest:
            assert rest.get(f"/api/channels/{channel}/messages").status_code == 403
        with stack.rest("ada") as rest:
            assert rest.get(f"/api/channels/{channel}").json()["channel"]["name"] == "renamed"
        assert await log.memberships("bob") == (value, revision)


async def test_a_stale_ingester_is_fenced(own_stack):
    """One hangs with the lease and work in its hands; another takes over; the first wakes up and does no harm."""
    stack = own_stack(PARLEY_LEASE_MS=1000)
    channel = stack.channel("ada")
    async with Log(stack) as log:
        sender = asyncio.create_task(burst(log, [channel], 8000))
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingested_events_total") > 1000, 30, "ingest under way")
        stack.kill("history", signal.SIGSTOP)
        try:
            with SecondHistory(stack) as second:
                last = await sender
                await asyncio.to_thread(ingested, stack, last)
                stack.kill("history", signal.SIGCONT)
                last = await burst(log, [channel], 2000)
                await asyncio.to_thread(ingested, stack, last)
                # exactly one of them works
                await asyncio.to_thread(wait_until, lambda: count(stack, "SELECT count(*) FROM leases") == 1)
                assert "lost the lease" in (stack.run_dir / "log" / "history.log").read_text()
                assert second.process.poll() is None
        finally:
            if stack.alive("history"):
                stack.kill("history", signal.SIGCONT)
        last = await burst(log, [channel], 100)
        await asyncio.to_thread(ingested, stack, last)
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 10100
    check_chains(stack)


async def test_the_cursor_fences(own_stack):
    """Whoever moves the cursor, the transaction that began from another place is rolled back, and nothing is applied twice."""
    stack = own_stack()
    channel = stack.channel("ada")
    async with Log(stack) as log:
        last = await burst(log, [channel], 50)
        await asyncio.to_thread(ingested, stack, last)
        with database(stack) as db:
            db.execute("UPDATE streams SET last_seq = last_seq - 20")
        last = await burst(log, [channel], 50)
        await asyncio.to_thread(ingested, stack, last)
    assert stack.metric("history", "parley_history_fenced_total") == 1
    assert stack.metric("history", "parley_history_duplicates_total") == 0
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 100
    assert count(stack, "SELECT count(*) FROM events WHERE channel_id = %s AND removed IS NOT NULL", channel) == 0
    check_chains(stack)


async def test_two_side_by_side(own_stack):
    """Each serves; one ingests; a change that comes to the other is confirmed as well; when the first ends the second goes on at once."""
    stack = own_stack(PARLEY_LEASE_MS=60000)  # so long that only the end of the connections can give it free
    with SecondHistory(stack) as second:
        wait_until(lambda: httpx.get(second.admin_url + "/readyz").status_code == 200, 20, "the second is ready")
        channel = stack.channel("ada")
        with httpx.Client(base_url=second.base_url, headers={"Authorization": "Bearer " + stack.token("ada")}, timeout=20) as ada:
            for i in range(10):
                assert ada.post(f"/api/channels/{channel}/members", json={"userId": f"guest-{i}"}).status_code == 201
            assert ada.delete(f"/api/channels/{channel}/members/guest-3").status_code == 204
            assert len(ada.get(f"/api/channels/{channel}/members").json()["members"]) == 10
            async with Log(stack) as log:
                answers = [await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, limit=500)) for _ in range(20)]
                assert not any(a.HasField("error") for a in answers)
                stack.kill("history")
                began = time.monotonic()
                last = await burst(log, [channel], 1000)
                await asyncio.to_thread(ingested, stack, last, 20)
                assert time.monotonic() - began < 15
                assert ada.post(f"/api/channels/{channel}/members", json={"userId": "late"}).status_code == 201
                events = await log.events(channel)
                joined = [e.member_joined.user_id for _, e in events if e.HasField("member_joined")]
                assert sorted(joined) == sorted(["ada", "late", *(f"guest-{i}" for i in range(10))])
    check_chains(stack)


async def test_the_log_is_trimmed_behind_ingest(own_stack):
    stack = own_stack(PARLEY_LOG_KEEP_S=2)
    channel = stack.channel("ada")
    async with Log(stack) as log:
        first = await log.publish(log.message(channel, "ada", "old"))
        async def trimmed(seq):
            return (await log.js.stream_info("CHAT_0")).state.first_seq > seq

        deadline = time.monotonic() + 30
        while not await trimmed(first):
            assert time.monotonic() < deadline, "the log is not trimmed"
            await log.publish(log.message(channel, "ada", "newer"))
            await asyncio.sleep(0.2)  # the rate of the traffic
        info = (await log.js.stream_info("CHAT_0")).state
        assert info.first_seq <= count(stack, "SELECT last_seq FROM streams") + 1
        # never beyond what Postgres has
        stack.stop("postgres")
        kept = await log.publish(log.message(channel, "ada", "not ingested"))
        began = time.monotonic()
        while time.monotonic() < began + 5:
            assert await log.stored(kept)
            await asyncio.sleep(0.2)  # a probe for 2.5 times the age at which it would be trimmed
        stack.start("postgres")
        await asyncio.to_thread(stack.wait_ingested, "ada", channel, kept)
    events, _ = stack.all_events("ada", channel)
    assert events[0]["prev"] == 0 and any(e.get("message", {}).get("content") == "old" for e in events)
    check_chains(stack)


async def test_a_log_that_fills_is_trimmed_behind_ingest(own_stack):
    """More than its size is written, long before its age: it goes on, and history has all. What Postgres does not have is not trimmed for it."""
    size = 16 << 20
    stack = own_stack(PARLEY_LOG_MAX_BYTES=size)
    channel = stack.channel("ada")
    acked = []

    async def some():
        """160 kB; whatever refuses one ends the test"""
        acked.extend(await log.publish_many([log.message(channel, "ada", "x" * 16000) for _ in range(10)]))

    async with Log(stack) as log:
        while len(acked) * 16000 < 2 * size:
            await some()
            await asyncio.to_thread(ingested, stack, acked[-1])
        assert stack.metric("history", "parley_history_log_early_trims_total") >= 2
        assert "the log is filling up" in (stack.run_dir / "log" / "history.log").read_text()
        stack.stop("postgres")
        before = (await log.js.stream_info("CHAT_0")).state
        committed = acked[-1]
        with pytest.raises(APIError, match="maximum bytes"):
            while len(acked) * 16000 < 4 * size:
                acked.append(await log.publish(log.message(channel, "ada", "x" * 16000)))
        began = time.monotonic()
        while time.monotonic() < began + 3:  # six looks at its size
            after = (await log.js.stream_info("CHAT_0")).state
            assert after.first_seq == before.first_seq <= committed + 1 and after.last_seq == acked[-1]
            await asyncio.sleep(0.2)  # a probe
        stack.start("postgres")
        await asyncio.to_thread(ingested, stack, acked[-1])
        deadline = time.monotonic() + 20
        while (await log.js.stream_info("CHAT_0")).state.bytes > 0.8 * size:
            assert time.monotonic() < deadline, "it is still full"
            await asyncio.sleep(0.1)  # a poll with a deadline
        await some()
        await asyncio.to_thread(ingested, stack, acked[-1])
    with database(stack) as db:
        assert {seq for (seq,) in db.execute("SELECT seq FROM messages WHERE channel_id = %s", (channel,))} == set(acked)
    check_chains(stack)


async def test_a_recreated_stream_goes_on_above(own_stack):
    """Somebody deletes the stream: the new one has another epoch, and no sequence comes twice."""
    stack = own_stack()
    channel = stack.channel("ada")
    async with Log(stack) as log:
        last = await burst(log, [channel], 50)
        await asyncio.to_thread(ingested, stack, last)
        epoch = count(stack, "SELECT epoch FROM streams")
        await log.js.delete_stream("CHAT_0")
        await asyncio.to_thread(wait_until, lambda: count(stack, "SELECT epoch FROM streams") != epoch, 30, "another epoch")
        info = (await log.js.stream_info("CHAT_0")).state
        assert info.first_seq >= last + 2**32
        after = await burst(log, [channel], 10)
        assert after > last + 2**32
        await asyncio.to_thread(ingested, stack, after)
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 60
    check_chains(stack)


async def recreate(log, stream):
    """Another stream of the same name, made as history makes one: far above, in another epoch. Returns its first sequence."""
    config = json.loads((await log.nc.request(f"$JS.API.STREAM.INFO.{stream}", b"")).data)
    first = config["state"]["last_seq"] + 2**32
    epoch = max(int(time.time()), int(config["config"]["metadata"]["parley_epoch"]) + 1)
    await log.js.delete_stream(stream)
    made = await log.nc.request(f"$JS.API.STREAM.CREATE.{stream}", json.dumps(
        {**config["config"], "first_seq": first, "metadata": {**config["config"]["metadata"], "parley_epoch": str(epoch)}}).encode())
    assert "error" not in json.loads(made.data), made.data
    return first


async def test_a_retry_by_rest_between_two_logs(own_stack):
    """The log is made anew while nobody ingests: Postgres still tells of the old one. What that one had stored and the new one cannot
    know must not be stored a second time, however recently Postgres was in step."""
    stack = own_stack(PARLEY_LEASE_MS=60000, PARLEY_DEDUPE_WINDOW_MS=20000)
    channel = stack.channel("ada")
    # in the first moments of a log it is not known what the one before it had: a second, and a tenth of the window
    wait_until(lambda: time.time() > count(stack, "SELECT epoch FROM streams") + 3.1)
    with SecondHistory(stack) as second, httpx.Client(base_url=second.base_url, timeout=20,
                                                      headers={"Authorization": "Bearer " + stack.token("ada")}) as ada:
        wait_until(lambda: httpx.get(second.admin_url + "/readyz").status_code == 200, 20, "the second is ready")
        async with Log(stack) as log:
            message = log.message(channel, "ada", "once")
            retry = {"id": message.id, "content": "once", "retry": True}
            await asyncio.to_thread(ingested, stack, await log.publish(log.message(channel, "ada", "ingested")))
            stack.kill("history", signal.SIGSTOP)
            try:
                await log.publish(message)
                known = await asyncio.to_thread(ada.post, f"/api/channels/{channel}/messages", json=retry)
                assert known.status_code == 200 and known.json()["duplicate"], known.text
                first = await recreate(log, "CHAT_0")
                answer = await asyncio.to_thread(ada.post, f"/api/channels/{channel}/messages", json=retry)
                assert answer.status_code == 503 and answer.json()["code"] == "unavailable", answer.text
                assert (await log.js.stream_info("CHAT_0")).state.last_seq < first, "it was stored"
            finally:
                stack.kill("history", signal.SIGCONT)


async def test_a_log_that_lost_its_end(own_stack):
    """The power failed: JetStream has less than Postgres, and gave some sequences to other events already."""
    stack = own_stack()
    channel = stack.channel("ada")
    async with Log(stack) as log:
        kept = await burst(log, [channel], 20)
        await asyncio.to_thread(ingested, stack, kept)
    stack.kill("nats-server")
    store = stack.run_dir / "nats"
    subprocess.run(["cp", "-a", str(store), str(store) + ".then"], check=True)
    stack.start("nats-server")
    async with Log(stack) as log:
        lost = await burst(log, [channel], 20)
        await asyncio.to_thread(ingested, stack, lost)
    stack.stop("history")
    stack.kill("nats-server")
    subprocess.run(["rm", "-rf", str(store)], check=True)
    subprocess.run(["mv", str(store) + ".then", str(store)], check=True)
    stack.start("nats-server")
    async with Log(stack) as log:
        news = [log.message(channel, "ada", f"news {i}") for i in range(5)]
        for event in news:
            assert await log.publish(event) <= lost, "this test is about sequences that come again"
        stack.start("history")
        wait_until(lambda: count(stack, "SELECT count(*) FROM messages WHERE content LIKE 'news%%'") == 5, 20, "the news")
        assert count(stack, "SELECT min(seq) FROM messages WHERE content LIKE 'news%%'") > lost + 2**31
        after = await log.publish(log.message(channel, "ada", "after"))
        await asyncio.to_thread(ingested, stack, after)
        assert len(await log.dead_letters()) == 5
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 46
    check_chains(stack)


async def test_orderly_stop(own_stack):
    """SIGTERM: running requests are answered, the batch is finished, the lease is given back, and the process ends with 0."""
    stack = own_stack(PARLEY_LEASE_MS=60000)
    with SecondHistory(stack) as second:
        wait_until(lambda: httpx.get(second.admin_url + "/readyz").status_code == 200, 20, "the second is ready")
        second.process.terminate()
        assert second.process.wait(10) == 0
    channel = stack.channel("ada")
    async with Log(stack) as log:
        sender = asyncio.create_task(burst(log, [channel], 5000))
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingested_events_total") > 500, 30, "ingest under way")
        stack.stop("history")
        last = await sender
        assert count(stack, "SELECT count(*) FROM leases") == 0
        stack.start("history")
        await asyncio.to_thread(ingested, stack, last)
    assert count(stack, "SELECT count(*) FROM messages WHERE channel_id = %s", channel) == 5000
    log_text = (stack.run_dir / "log" / "history.log").read_text()
    assert '"stopped"' in log_text
    check_chains(stack)
