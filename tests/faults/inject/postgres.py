"""Hindrances inside Postgres, by what its owner may do: a function that runs at the commit of each transaction that changed something."""

import shutil

from support.stack import wait_until

# Once for each transaction, at its commit. The counter is not undone by what fails.
HINDER = """
CREATE SEQUENCE fault_commits;
CREATE FUNCTION fault_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('fault.transaction', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM set_config('fault.transaction', txid_current()::text, false);
        {action}
    END IF;
    RETURN NULL;
END $$;
"""
SLOW = "PERFORM nextval('fault_commits'); PERFORM pg_sleep({seconds});"
FAILING = "IF random() < {share} THEN PERFORM nextval('fault_commits'); RAISE EXCEPTION 'the disk of this transaction is gone'; END IF;"
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'schema_migrations'
"""


def hinder(stack, action):
    with stack.postgres() as pg:
        pg.autocommit = True  # one lock at a time: services go through these tables in another order
        pg.execute("SET lock_timeout = '10s'")
        pg.execute(HINDER.format(action=action))
        for (table,) in pg.execute(TABLES).fetchall():
            pg.execute(f"CREATE CONSTRAINT TRIGGER fault_at_commit AFTER INSERT OR UPDATE OR DELETE ON {table} "
                       "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault_at_commit()")


def slow_commits(stack, seconds):
    hinder(stack, SLOW.format(seconds=seconds))


def failing_commits(stack, share):
    hinder(stack, FAILING.format(share=share))


def hindered(stack):
    """How many commits it has met."""
    with stack.postgres() as pg:
        return pg.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fault_commits").fetchone()[0]


def unhinder(stack):
    with stack.postgres() as pg:
        pg.autocommit = True
        for (table,) in pg.execute(TABLES).fetchall():
            with pg.transaction():
                pg.execute(f"LOCK TABLE {table}")  # DROP begins with the partitions, and services with the table
                pg.execute(f"DROP TRIGGER IF EXISTS fault_at_commit ON {table}")
        pg.execute("DROP FUNCTION IF EXISTS fault_at_commit()")
        pg.execute("DROP SEQUENCE IF EXISTS fault_commits")


def wipe(stack):
    """The server is gone and its disk with it. Started again it begins with an empty database."""
    stack.kill("postgres")
    wait_until(lambda: set(stack.states(stack.family("postgres"))) <= {"X", "Z"}, 10, "Postgres has ended")
    shutil.rmtree(stack.run_dir / "postgres")
