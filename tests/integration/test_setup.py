"""parley-history --migrate and --provision: what an installer runs so that the services need fewer rights."""

import httpx
import nats
import psycopg
import pytest
from support.log import database
from support.stack import wait_until

LOCK = "SELECT pg_advisory_lock(1885434476, 1835624306)"  # of pg_migrate.c


class Setup:
    """Runs of history's program with the settings of the stack's own history"""

    def __init__(self, stack):
        self.start = stack.program("history").start

    def run(self, mode, **env):
        process = self.start(mode, **env)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out


async def stream_config(stack, name):
    nc = await nats.connect(stack.nats_url)
    try:
        return (await nc.jetstream().stream_info(name)).config
    finally:
        await nc.close()


def test_two_migrations_at_once_make_one_schema(stack):
    setup, url = Setup(stack), stack.create_database("twice")
    both = [setup.start("--migrate", PARLEY_PG_URL=url) for _ in range(2)]
    outs = [p.communicate(timeout=60)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0], outs
    with psycopg.connect(url) as db:
        versions = [v for (v,) in db.execute("SELECT version FROM schema_migrations ORDER BY version")]
    assert versions == list(range(1, len(versions) + 1)) and versions


def test_a_migration_waits_for_another_and_fails_when_that_does_not_end(stack):
    setup, url = Setup(stack), stack.create_database("locked")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(LOCK)
        status, out = setup.run("--migrate", PARLEY_PG_URL=url, PARLEY_SETUP_TIMEOUT_S=1)
        assert status == 1 and "another instance is migrating" in out, out
        waiting = setup.start("--migrate", PARLEY_PG_URL=url)
        assert "another instance is migrating" in waiting.stdout.readline()
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, out


def test_a_migration_that_has_begun_is_not_given_up(stack):
    """It would be called failed, and be through a moment later"""
    setup, url = Setup(stack), stack.create_database("slow")
    with psycopg.connect(url) as other:
        other.execute("CREATE TABLE schema_migrations (version integer)")  # until the end of this transaction nobody else makes one of that name
        # long enough to connect and to get the lock
        process = setup.start("--migrate", PARLEY_PG_URL=url, PARLEY_SETUP_TIMEOUT_S=8)
        assert "PARLEY_SETUP_TIMEOUT_S is over, and the migration has begun" in process.stdout.readline()
        other.rollback()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and "the schema is at version" in out, out


def test_a_database_of_a_newer_program_is_refused_at_once(stack):
    setup, url = Setup(stack), stack.create_database("newer")
    assert setup.run("--migrate", PARLEY_PG_URL=url)[0] == 0
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
    status, out = setup.run("--migrate", PARLEY_PG_URL=url, PARLEY_SETUP_TIMEOUT_S=25)
    assert status == 1 and "newer than this program" in out, out


def test_a_newer_schema_that_lets_it_is_no_hindrance(own_stack):
    """What a history of the version before finds when its connections break while a newer one comes, or after going back"""
    stack = own_stack()

    def readiness():
        return httpx.get(f"{stack.admin_url('history')}/readyz", timeout=5)

    def losses():
        return next(text for name, text in stack.log_texts().items() if "history" in name).count('"no connection to Postgres","pool":"ingest"')

    def checks_anew(sql, *values):
        """history looks again when ingest had no connection at all: they are cut until that is so"""
        db.execute(sql, values)
        before, cut = losses(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'parley-history-%'"
        wait_until(lambda: db.execute(cut) and losses() > before, 20, "its connections are gone", 0.1)

    with database(stack) as db:
        (known,) = db.execute("SELECT max(version) FROM schema_migrations").fetchone()
        checks_anew("INSERT INTO schema_migrations (version, name, checksum, min_reader) VALUES (%s, 'later', 'x', %s)", known + 1, known)
        wait_until(lambda: any("the schema is newer" in text for text in stack.log_texts().values()), 20, "it looks at the newer schema")
        wait_until(lambda: readiness().status_code == 200, 20, "it goes on with it")
        status, out = Setup(stack).run("--migrate")
        assert status == 0 and "the schema is newer" in out, out

        checks_anew("UPDATE schema_migrations SET min_reader = %s WHERE version = %s", known + 1, known + 1)
        why = f"the database is newer than this program: its version {known + 1} is for programs that know {known + 1}, this one knows {known}"
        wait_until(lambda: readiness().json()["checks"].get("database", "").endswith(why), 20, "it says why it is not ready")
        assert readiness().status_code == 503 and readiness().json()["checks"]["postgres"] is False

        checks_anew("DELETE FROM schema_migrations WHERE version = %s", known + 1)
        wait_until(lambda: readiness().status_code == 200, 20, "it goes on by itself")
        assert "database" not in readiness().json()["checks"]


@pytest.mark.parametrize("mode, setting, value, why", [
    ("--migrate", "PARLEY_PG_URL", "host=127.0.0.1 port=1 dbname=parley", "connect"),
    ("--provision", "PARLEY_NATS_URL", "nats://127.0.0.1:1", "NATS"),
])
def test_what_cannot_be_reached_is_named(stack, mode, setting, value, why):
    status, out = Setup(stack).run(mode, **{setting: value}, PARLEY_SETUP_TIMEOUT_S=2)
    assert status == 1 and why in out and "PARLEY_SETUP_TIMEOUT_S" in out, out


def test_an_address_that_is_changed_is_used_at_the_next_try(own_stack):
    stack = own_stack()
    file = stack.run_dir / "pg-url"
    file.write_text("host=127.0.0.1 port=1 dbname=parley")
    process = Setup(stack).start("--migrate", PARLEY_PG_URL="", PARLEY_PG_URL_FILE=file)
    assert "port 1 failed" in process.stdout.readline()
    file.write_text(stack.postgres_url() + "\n")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and "the schema is at version" in out, out


async def test_limits_are_changed_by_provisioning_alone(own_stack):
    stack = own_stack()
    setup = Setup(stack)
    before = await stream_config(stack, "CHAT_0")
    status, out = setup.run("--provision", PARLEY_LOG_MAX_BYTES=64 << 20, PARLEY_SYSTEM_KEEP_DAYS=3)
    assert status == 0, out
    after = await stream_config(stack, "CHAT_0")
    assert (after.max_bytes, after.metadata) == (64 << 20, before.metadata)
    assert (await stream_config(stack, "SYSTEM")).max_age == 3 * 86400
    status, out = setup.run("--provision", PARLEY_LOG_MAX_BYTES=64 << 20, PARLEY_SYSTEM_KEEP_DAYS=3)
    assert status == 0, out

    stack.stop("history")
    stack.start("history", PARLEY_PROVISION="off", PARLEY_LOG_MAX_BYTES=256 << 20)
    assert (await stream_config(stack, "CHAT_0")).max_bytes == 64 << 20, "changed although it is not to"


async def test_without_the_right_services_wait_for_what_is_made_for_them(own_stack):
    stack = own_stack()
    setup, log = Setup(stack), stack.run_dir / "log" / "waiting.log"
    for service in ("history", "upload", "gateway", "presence"):
        stack.stop(service)
    nc = await nats.connect(stack.nats_url)
    for info in await nc.jetstream().streams_info():
        await nc.jetstream().delete_stream(info.config.name)
    # a history with the settings of before: it may take the lease, but finds nothing
    stack.env.update(PARLEY_PROVISION="off")
    with database(stack) as db:
        db.execute("DELETE FROM streams")
    with log.open("w") as out:
        process = setup.start(out=out, PARLEY_PROVISION="off")
        try:
            wait_until(lambda: "the log is not ready" in log.read_text(), 20, "it says that it waits")
            assert await nc.jetstream().streams_info() == []
            assert setup.run("--provision")[0] == 0
            names = {i.config.name for i in await nc.jetstream().streams_info()}
            assert names == {"CHAT_0", "SYSTEM", "KV_MEMBERS", "KV_CHANNELS", "KV_PRESENCE", "KV_UPLOADS", "KV_FILES"}
            wait_until(lambda: '"ingesting"' in log.read_text(), 20, "it ingests")
        finally:
            process.kill()
            process.wait()
            await nc.close()
