"""deploy/docker/secrets.sh: what it makes, once, also when several begin at once."""

import shutil
import subprocess

from support.stack import ROOT

NAMES = {"token", "upload", "nats.password", "nats.auth", "postgres.password", "postgres.url"}


def copy_of(folder):
    shutil.copy(ROOT / "deploy/docker/secrets.sh", folder)
    return folder / "secrets.sh", folder / "secrets"


def content(made):
    return {path.name: path.read_text().strip() for path in made.iterdir()}


def test_those_who_begin_at_once_have_the_same_secrets(tmp_path):
    for attempt in range(5):
        (tmp_path / str(attempt)).mkdir()
        script, made = copy_of(tmp_path / str(attempt))
        runs = [subprocess.Popen([script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(8)]
        assert [(run.communicate(timeout=30)[0], run.returncode) for run in runs] == [("", 0)] * 8
        secrets = content(made)
        assert set(secrets) == NAMES and len(set(secrets.values())) == len(NAMES)
        assert f'"{secrets["nats.password"]}"' in secrets["nats.auth"] and f':{secrets["postgres.password"]}@' in secrets["postgres.url"]


def test_what_is_there_stays_and_what_is_empty_is_named(tmp_path):
    script, made = copy_of(tmp_path)
    subprocess.run([script], check=True, timeout=30)
    before = content(made)
    (made / "token").write_text("of mine\n")
    subprocess.run([script], check=True, timeout=30)
    assert content(made) == {**before, "token": "of mine"}
    (made / "token").write_text("")
    said = subprocess.run([script], timeout=30, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert said.returncode != 0 and "secrets/token is empty" in said.stdout
