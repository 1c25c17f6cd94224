"""The stack of deploy/docker/compose.yaml as a Stack: what tests/integration runs against with PARLEY_TEST_COMPOSE=1.

The images have to be there (scripts/images). What only a local stack has (a second process with settings of its own, the files of the run directory)
skips the test that asks for it. Processes are killed and looked at by the ids that they have on this machine."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.s3_image import PORT as S3_PORT
from support.s3_image import make_s3_image
from support.stack import PORTS, ROOT, Stack, wait_until

FOLDER = ROOT / "deploy" / "docker"
LOCAL = "needs a stack on this machine: another build, further processes, or files of its run directory"
CONTAINERS = {"nats-server": "nats", "nginx": "web"}   # by the names of a local stack
PARTS = {container: part for part, container in CONTAINERS.items()}
S3_IMAGE = "parley-test-s3:latest"


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _take_number():
    """What makes names and addresses of a stack its own, and a socket that keeps it from other tests until it is closed"""
    for number in range(100):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0parley-test-compose-{number}")
            return number, mark
        except OSError:
            mark.close()
    raise RuntimeError("there are a hundred stacks")


def _docker(*args, **options):
    return subprocess.run([os.environ.get("DOCKER", "docker"), *args], check=True, timeout=60, stdin=subprocess.DEVNULL, text=True, **options)


class ContainerProgram:
    """A service's program, once more in its container"""

    def __init__(self, box, name):
        self.box, self.binary = box, f"/usr/bin/parley-{name}"

    def start(self, *args, **env):
        # what is given here stands for a file of the container as well
        options = [option for k, v in env.items() for option in ("--env", f"{k}_FILE=", "--env", f"{k}={v}")]
        return subprocess.Popen([os.environ.get("DOCKER", "docker"), "exec", *options, self.box, self.binary, *args],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class SecondContainer:
    """The second gateway of a stack"""

    def __init__(self, address):
        self.ws_url, self.admin_url = f"ws://{address}:{PORTS['gateway']}/ws", f"http://{address}:{PORTS['gateway'] + 1000}"

    def kill(self):
        """Goes with its stack"""


class ComposeStack(Stack):
    def __init__(self, **settings):
        self.number, self.mark = _take_number()
        self.project, self.front, self.back = f"parley-test-{self.number}", f"10.231.{78 + self.number}", f"10.232.{78 + self.number}"
        self.dir = Path(tempfile.mkdtemp(prefix="parley-test-"))
        self.settings = {k: str(v) for k, v in settings.items()}
        self.port, self.number_of_gateways, self.gateways, self.containers = _free_port(), 1, [self], {}
        hard = subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True, check=True).stdout.strip()
        self.env = {**os.environ, "PARLEY_PORT": str(self.port), "PARLEY_DEMO_SIGNIN": "on", "PARLEY_SETTINGS": str(self.dir / "settings.env"),
                    "PARLEY_SUBNET": f"{self.front}.0/24", "PARLEY_NOFILE": hard if hard.isdigit() and int(hard) < 65536 else "65536", **self.settings}

    # --- running it ---

    def _beside(self):
        """What tests need beside deploy/docker/compose.yaml: a part that was killed stays away and comes back at the same address"""
        # Each look is a process of its own: every second, in stacks side by side, they took a processor, and came too late to say that all is well
        health = {"interval": "3s", "timeout": "20s", "retries": 5}
        services = {name: {"restart": "no", "healthcheck": health} for name in ("nats", "postgres", "gateway", "history", "presence", "upload", "web")}
        for i, name in enumerate(("history", "presence", "upload", "web")):
            services[name]["networks"] = {"front": {"ipv4_address": f"{self.front}.{101 + i}"}}
        for i, name in enumerate(("nats", "postgres")):
            services[name]["networks"] = {"back": {"ipv4_address": f"{self.back}.{101 + i}"}}
        if self.env.get("PARLEY_UPLOAD_STORE") == "s3":
            services["s3"] = self._s3()
        return {"services": services, "networks": {"back": {"ipam": {"config": [{"subnet": f"{self.back}.0/24"}]}}}}

    def _s3(self):
        address = f"http://{self.front}.110:{S3_PORT}"
        make_s3_image(S3_IMAGE)
        self.s3_dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "s3" / "meta").mkdir(exist_ok=True)
        self.settings |= {"PARLEY_S3_ENDPOINT": address, "PARLEY_S3_BUCKET": self.s3_dir.name, "PARLEY_S3_ACCESS_KEY_ID": "parley",
                          "PARLEY_S3_SECRET_ACCESS_KEY": "of this test"}
        self.env["PARLEY_EDGE_FILES_ORIGIN"] = address
        return {"image": S3_IMAGE, "networks": {"front": {"ipv4_address": f"{self.front}.110"}}, "volumes": [f"{self.dir / 's3'}:/s3"],
                "environment": {"ROOT_ACCESS_KEY_ID": "parley", "ROOT_SECRET_ACCESS_KEY": "of this test"},
                "command": ["--port", f":{S3_PORT}", "--region", "us-east-1", "--keep-alive", "--quiet", "--cors-allow-origin", self.base_url,
                            "posix", "--sidecar", "/s3/meta", "/s3/data"]}

    def _compose(self, *args, timeout=180, env=None):
        command = shlex.split(os.environ.get("PARLEY_COMPOSE") or os.environ.get("DOCKER", "docker") + " compose")
        run = subprocess.run([*command, "--project-name", self.project, "--file", str(FOLDER / "compose.yaml"), "--file", str(self.dir / "beside.json"), *args],
                             env=env or self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        assert run.returncode == 0, f"{' '.join(command)} {' '.join(args)}:\n{run.stdout}{run.stderr}"
        return run.stdout

    def up(self):
        subprocess.run([str(FOLDER / "secrets.sh")], check=True, timeout=30)
        (self.dir / "beside.json").write_text(json.dumps(self._beside()))
        self._start([])
        return self

    def _start(self, names, **settings):
        settings = {**self.settings, **{k: str(v) for k, v in settings.items()}}
        (self.dir / "settings.env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        # Compose wants the one to scale among the names
        scale = [f"--scale=gateway={self.number_of_gateways}"] if not names or "gateway" in names else []
        self._compose("up", "--wait", "--wait-timeout", "120", *scale, *names, env={**self.env, **settings})
        self._look_up()

    def _look_up(self):
        ids = self._compose("ps", "--quiet").split()
        for box in json.loads(_docker("inspect", *ids, capture_output=True).stdout):
            labels, networks = box["Config"]["Labels"], box["NetworkSettings"]["Networks"]
            name, number = labels["com.docker.compose.service"], int(labels["com.docker.compose.container-number"])
            address = networks.get(f"{self.project}_front", networks.get(f"{self.project}_back"))["IPAddress"]
            if number == 1:
                self.containers[name] = (box["Id"], address, box["State"]["Pid"])
            else:
                self.gateways[1:] = [SecondContainer(address)]

    def down(self):
        self._compose("down", "--volumes", "--timeout", "1")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.mark.close()

    def stop(self, name):
        self._compose("stop", CONTAINERS.get(name, name))

    def start(self, name, **env):
        if not self.alive(name):
            box = self.containers[CONTAINERS.get(name, name)][0]
            wait_until(lambda: "false" in _docker("inspect", "--format", "{{.State.Running}}", box, capture_output=True).stdout, 10, f"the engine notices that {name} ended")
        self._start(["--no-deps", CONTAINERS.get(name, name)], **env)

    def second_gateways(self, n):
        self.number_of_gateways = n
        self._start([])

    def pid(self, name):
        return self.containers[CONTAINERS.get(name, name)][2]

    def program(self, name):
        return ContainerProgram(self.containers[name][0], name)

    def logs(self, lines=15):
        return self._compose("logs", "--no-color", "--tail", str(lines))

    def log_texts(self):
        return {f"{PARTS.get(name, name)}.log": _docker("logs", box, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
                for name, (box, _, _) in self.containers.items()}

    def _local(self, *_, **__):
        pytest.skip(LOCAL)

    second_gateway = _local
    run_dir = offset = property(_local)

    # --- where it is ---

    def address(self, name):
        return ("127.0.0.1", self.port) if name == "edge" else (self.containers[name][1], PORTS[name])

    @property
    def other_address(self):
        return f"{self.back}.1"

    def elsewhere(self):
        # whoever comes by the published port has the same address there
        return f"http://{self.containers['web'][1]}:8080", self.other_address

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self):
        return f"ws://{self.containers['gateway'][1]}:{PORTS['gateway']}/ws"

    @property
    def edge_ws_url(self):
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def nats_url(self):
        return f"nats://parley:{self._secret('nats.password')}@{self.containers['nats'][1]}:4222"

    @property
    def upload_dir(self):
        """The volume, which root reaches on this machine"""
        folder = Path(_docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{self.project}_upload", capture_output=True).stdout.strip())
        if not os.access(folder, os.R_OK | os.W_OK):
            pytest.skip(f"needs {folder}: run it as root, with an engine on this machine")
        return folder

    @property
    def s3_dir(self):
        return self.dir / "s3" / "data" / "parley"

    def admin_url(self, name):
        return f"http://{self.containers[name][1]}:{PORTS[name] + 1000}"

    def postgres_url(self):
        return f"host={self.containers['postgres'][1]} user=parley dbname=parley password={self._secret('postgres.password')}"

    def create_database(self, name):
        pytest.skip(f"needs a database {name}: nobody may make one in the container of the trial's PostgreSQL")

    def secret(self):
        return self._secret("token")

    def _secret(self, name):
        return (FOLDER / "secrets" / name).read_text().strip()
