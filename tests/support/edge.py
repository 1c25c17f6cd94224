"""Another edge before a stack: its configuration, elsewhere."""

import contextlib
import os
import re
import socket
import subprocess

from .stack import wait_until


def spare_port(stack):
    """Of those that are this stack's alone, by take_offset: what is free among those that outgoing connections get may be taken a moment later."""
    return 8090 + stack.offset


@contextlib.contextmanager
def another_edge(stack, folder, listen, change=lambda config: config):
    """listen: where, in nginx' words; change: of its configuration. Yields the file of its access log"""
    config = (stack.run_dir / "conf/nginx.conf").read_text()
    lines = "".join(f"    listen {at} backlog=4096;\n" for at in listen)
    config, n = re.subn(r"(?m)^    listen \S+ backlog=4096;\n", lines, config)
    assert n == 1
    config = change(config.replace(f"{stack.run_dir}/nginx", str(folder)).replace(f"{stack.run_dir}/log/nginx.log", f"{folder}/access.log"))
    (folder / "nginx.conf").write_text(config)
    with (folder / "error.log").open("w") as log:
        process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr", "-g", "daemon off;" + (" user root root;" if os.geteuid() == 0 else "")],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or all(_answers(at) for at in listen), 20, "nginx is there")
        assert process.poll() is None, (folder / "error.log").read_text()
        yield folder / "access.log"
    finally:
        process.terminate()
        process.wait(10)


def _answers(at):
    host, port = at.rsplit(":", 1)
    try:
        socket.create_connection(({"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]")), int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
