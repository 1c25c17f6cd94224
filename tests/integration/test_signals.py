"""A service that would not hear that it is to stop is not started."""

import subprocess

import pytest

SHIM = "int uv_signal_start(void *handle, void *callback, int number) { (void)handle; (void)callback; (void)number; return -22; }\n"


# One start in twenty ended by SIGSEGV where threads of nats.c outlived what they used
TIMES = 20


@pytest.fixture(scope="module")
def shim(stack, tmp_path_factory):
    """libuv, which cannot listen for a signal"""
    assert stack.run_dir  # a library of this machine, which no container has
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c"], check=True)
    return str(folder / "shim.so")


@pytest.mark.parametrize("service", ["gateway", "history", "presence", "upload"])
def test_signals_that_cannot_be_listened_for_end_the_start(stack, shim, tmp_path, service):
    for _ in range(TIMES):
        fail_to_start(stack, shim, tmp_path, service)


def fail_to_start(stack, shim, tmp_path, service):
    process = stack.program(service).start(PARLEY_LISTEN="127.0.0.1:0", PARLEY_ADMIN_LISTEN="127.0.0.1:0", PARLEY_UPLOAD_DIR=str(tmp_path), LD_PRELOAD=shim)
    try:
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 1 and "SIGTERM and SIGINT cannot be listened for" in out, out
