"""What a newcomer does with files: the commands of the README, and another store over the same data."""

import re
import subprocess

import pytest
from support.stack import ROOT
from support.stores import STORES, shared_stack_of
from support.uploads import Uploader


@pytest.fixture(params=STORES)
def stack(request):
    return shared_stack_of(request)


def test_the_readme_uploads_a_file(stack, tmp_path):
    block = next(b for b in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "/api/uploads" in b)
    commands = block.replace("http://127.0.0.1:8080", stack.base_url).replace("copy.png", str(tmp_path / "copy.png"))
    env = {**stack.env, "PARLEY_RUN_DIR": str(stack.run_dir)}  # where scripts/token finds the secret
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "copy.png").read_bytes() == (ROOT / "docs/images/chat.png").read_bytes()


def test_another_store_over_files_is_refused(own_stack):
    """Nobody could read them from there. Without files any store will do."""
    stack = own_stack()
    env = {**stack.env, "PARLEY_RUN_DIR": str(stack.run_dir)}
    with Uploader(stack, "ann") as ann:
        file_id = ann.uploaded("general", b"hello")["attachment"]["id"]

    def up(*args):
        run = subprocess.run([str(ROOT / "scripts/up"), "--detach", *args], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=120)
        return run.returncode, run.stderr

    def down():
        subprocess.run([str(ROOT / "scripts/down")], cwd=ROOT, env=env, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    down()
    code, text = up("--s3")
    assert code == 1 and "'local'" in text and "start without --s3" in text and "PARLEY_RUN_DIR" in text, text
    assert up() == (0, "")
    with Uploader(stack, "ann") as ann:
        assert ann.read(file_id).content == b"hello"
        assert ann.delete(file_id).status_code == 204
    down()
    code, text = up("--s3")
    assert code == 0, text
    with Uploader(stack, "ann") as ann:
        ann.uploaded("general", b"hello")
    down()
    code, text = up()
    assert code == 1 and "'s3'" in text and "start with --s3" in text, text
