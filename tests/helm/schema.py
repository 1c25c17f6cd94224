"""A next version of history whose schema is another one: what the version before does with it."""

import json
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from cluster import ROOT, Failed, run, wait_until

MIGRATIONS = "services/history/migrations"
PLANTED = """-- min_reader: {before}: it adds what nobody reads
ALTER TABLE users ADD COLUMN planted text NOT NULL DEFAULT 'somebody';
ALTER TABLE messages ADD COLUMN planted bigint NOT NULL DEFAULT 0;
CREATE TABLE planted (id bigint PRIMARY KEY);
"""


def newest():
    """The last migration of this tree"""
    return max(int(path.name.split("_")[0]) for path in (ROOT / MIGRATIONS).glob("*.sql"))


def build_next(r, tag):
    """The image of a history that has one migration more, built as any other"""
    with tempfile.TemporaryDirectory(prefix="parley-next-") as folder:
        names = run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "CMakeLists.txt", "CMakePresets.json",
                    ".dockerignore", "cmake", "proto", "lib", "services", "scripts", "deploy", "tests/layers").split("\0")
        run("cp", "--parents", "--target-directory", folder, *(name for name in names if name and (ROOT / name).exists()), cwd=ROOT)
        (Path(folder) / MIGRATIONS / f"{newest() + 1:04d}_planted.sql").write_text(PLANTED.format(before=newest()))
        run(Path(folder) / "scripts/images", "history", env={**os.environ, "PARLEY_IMAGE_TAG": tag, "PARLEY_IMAGE_PREFIX": r.prefix}, timeout=1200)


def sql(r, text, database="parley"):
    """One row of one column, as whoever runs PostgreSQL"""
    said = r.kubectl("exec", f"statefulset/{r.name}-postgresql", "--", "/bin/sh", "-c",
                     'PGPASSWORD=$(cat /run/secrets/parley/postgres-password) exec psql -q -h 127.0.0.1 -U parley -d "$1" -v ON_ERROR_STOP=1 -tAc "$0"', text, database)
    return said.strip().splitlines()[-1] if said.strip() else ""


def expect_version(r, version):
    found = sql(r, "SELECT max(version) FROM schema_migrations")
    if found != str(version):
        raise Failed(f"the schema is at version {found}, not {version}")


def begin_anew(r):
    """Every history, one behind the other: none of them saw the schema when it was its own"""
    for pod in r.pods("history"):
        r.kubectl("delete", "pod", pod["metadata"]["name"])
        wait_until(lambda: r.ready("history"), 120, "history is ready again", 1)
    said = r.kubectl("logs", "-l", f"app.kubernetes.io/instance={r.name},app.kubernetes.io/component=history", "--tail=-1")
    if "the schema is newer" not in said:
        raise Failed(f"history says nothing of a newer schema:\n{said[-1500:]}")


def readiness(r, pod):
    with r.forward(f"pod/{pod}", 9082) as address:
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)


def refuses(r):
    """A history that a migration does not let in says so, and goes on when it is let in"""
    def let_in(version):
        sql(r, f"UPDATE schema_migrations SET min_reader = {version} WHERE version = {newest() + 1}")
    let_in(newest() + 1)
    try:
        r.kubectl("delete", "pod", r.pods("history")[0]["metadata"]["name"])

        def why():
            for pod in r.pods("history"):
                if pod["status"]["phase"] == "Running" and not r.is_ready(pod):
                    return readiness(r, pod["metadata"]["name"])["checks"].get("database", "")
        wait_until(lambda: "newer than this program" in (why() or ""), 90, "a history says in /readyz that the schema is too new", 1)
    finally:
        let_in(newest())
    wait_until(lambda: r.ready("history"), 60, "history is ready again", 1)
