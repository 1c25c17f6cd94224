"""The rows that history wrote, written once more as fast as this Postgres takes them: into plain tables with the same keys, not partitioned.

What is timed sends bytes that Postgres itself has encoded before: the client's part is as small as it can be."""

import time

BATCH = 500  # events a transaction, as history has it

# Name and type of each column. Of messages those that are always NULL here are left out.
TABLES = {
    "events": ("channel_id text, seq bigint, prev bigint, kind smallint, removed smallint, actor_id text, id text, created_ns bigint, "
               "target_seq bigint, fingerprint bytea, payload bytea"),
    "messages": "channel_id text, seq bigint, id text, sender_id text, sender_name text, content text, type smallint, created_ns bigint, n bigint",
}


def columns(table):
    return [column.split() for column in TABLES[table].split(", ")]


def names(table):
    return ", ".join(name for name, _ in columns(table))


def make(db):
    """Empty tables"""
    db.execute("DROP TABLE IF EXISTS raw_events, raw_messages")
    for table, keys in (("events", "ADD PRIMARY KEY (channel_id, seq), ADD UNIQUE (channel_id, id, actor_id)"),
                        ("messages", "ADD PRIMARY KEY (channel_id, seq)")):
        db.execute(f"CREATE TABLE raw_{table} AS SELECT {names(table)} FROM {table} LIMIT 0")
        db.execute(f"ALTER TABLE raw_{table} {keys}")


def same(db, after, last):
    """As many rows as history wrote have arrived."""
    for table in TABLES:
        wanted, = db.execute(f"SELECT count(*) FROM {table} WHERE seq > %s AND seq <= %s", (after, last)).fetchone()
        found, = db.execute(f"SELECT count(*) FROM raw_{table}").fetchone()
        assert found == wanted > 0, f"raw_{table} has {found} rows and {table} {wanted}"


def copy(db, after, last, before):
    """The rows of after < seq <= last by one COPY a table in one transaction. Calls `before` and returns the seconds from then on."""
    data = {}
    for table in TABLES:
        with db.cursor().copy(f"COPY (SELECT {names(table)} FROM {table} WHERE seq > {after} AND seq <= {last} ORDER BY seq) "
                              "TO STDOUT (FORMAT binary)") as found:
            data[table] = [bytes(part) for part in found]
    make(db)
    before()
    began = time.monotonic()
    with db.transaction():
        for table, parts in data.items():
            with db.cursor().copy(f"COPY raw_{table} FROM STDIN (FORMAT binary)") as to:
                for part in parts:
                    to.write(part)
    seconds = time.monotonic() - began
    same(db, after, last)
    return seconds


def unnest(db, after, last, before):
    """The same by INSERT … SELECT FROM unnest(), BATCH events a transaction."""
    pg, batches = db.pgconn, []
    for start in range(after, last, BATCH):
        batches.append([_arrays(pg, table, start, min(start + BATCH, last)) for table in TABLES])
    make(db)
    for table in TABLES:
        arrays = ", ".join(f"${i + 1}::{type}[]" for i, (_, type) in enumerate(columns(table)))
        _good(pg.prepare(f"raw_{table}".encode(), f"INSERT INTO raw_{table} SELECT * FROM unnest({arrays})".encode()))
    before()
    began = time.monotonic()
    for batch in batches:
        _good(pg.exec_(b"BEGIN"))
        for table, arrays in zip(TABLES, batch):
            _good(pg.exec_prepared(f"raw_{table}".encode(), arrays, [1] * len(arrays), 1))
        _good(pg.exec_(b"COMMIT"))
    seconds = time.monotonic() - began
    db.execute("DEALLOCATE raw_events; DEALLOCATE raw_messages")
    same(db, after, last)
    return seconds


def _arrays(pg, table, after, last):
    """The columns of a batch, each an array as Postgres sends it"""
    arrays = ", ".join(f"array_agg({name}::{type} ORDER BY seq)" for name, type in columns(table))
    found = _good(pg.exec_params(f"SELECT {arrays} FROM {table} WHERE seq > {after} AND seq <= {last}".encode(), [], [], [], 1))
    return [found.get_value(0, i) for i in range(found.nfields)]


def _good(result):
    assert result.error_message == b"", result.error_message
    return result
