"""A private RabbitMQ from Debian's package: own data, logs, node name, ports and epmd, and nothing of it left when it is stopped."""

import os
import shutil
import subprocess
import time
from pathlib import Path

# Debian's wrappers in /usr/sbin insist on the user rabbitmq; these are what they call.
BIN = Path("/usr/lib/rabbitmq/bin")


class RabbitMQ:
    """`port`, `port` + 1 and `port` + 2 are taken: AMQP, Erlang's distribution, epmd. Data and logs are in `folder`."""

    def __init__(self, folder, port):
        self.folder, self.port, self.process = Path(folder), port, None
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self.folder),  # of the Erlang cookie
            "RABBITMQ_NODENAME": f"parley-bench-{port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": str(self.folder / "log" / "rabbitmq.log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(port + 1),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(port + 2),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    @property
    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    @staticmethod
    def version():
        return subprocess.run(["dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"], capture_output=True, text=True, check=True).stdout

    @property
    def pid(self):
        """Of the Erlang machine itself, whose memory and processor time count."""
        return int((self.folder / "pid").read_text())

    def start(self, timeout=60):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "log").mkdir(parents=True)
        (self.folder / "plugins").write_text("[].\n")
        # The defaults of the package, but for who may reach it.
        (self.folder / "rabbitmq.conf").write_text("listeners.tcp.default = 127.0.0.1:%d\n" % self.port)
        with (self.folder / "log" / "stdout.log").open("w") as log:
            self.process = subprocess.Popen([str(BIN / "rabbitmq-server")], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self._control("await_startup", "--timeout", str(timeout), timeout=timeout + 10)

    def _control(self, *args, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            run = subprocess.run([str(BIN / "rabbitmqctl"), *args], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=timeout)
            if run.returncode == 0:
                return run.stdout
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"rabbitmqctl {args[0]} failed:\n{run.stdout}{run.stderr}{self._log()}")
            time.sleep(0.2)  # the node is not known to epmd yet

    def _log(self):
        return "\n".join((self.folder / "log" / "stdout.log").read_text(errors="replace").splitlines()[-20:])

    def stop(self):
        if self.process:
            self.process.terminate()  # its script then calls `rabbitmqctl stop`
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait(10)
            self.process = None
        # epmd is started by the first node and outlives all of them
        subprocess.run(["epmd", "-port", str(self.port + 2), "-kill"], env=self.env, capture_output=True, timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)
