"""kubectl and helm for scripts/test-helm: one release in one namespace of the current context."""

import base64
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/k8s/parley"
CLASS = "parley-test"
VOLUMES = 5  # three of NATS, one of PostgreSQL, one of upload


class Failed(Exception):
    pass


def run(*command, timeout=600, stdin=None, check=True, **options):
    result = subprocess.run([str(c) for c in command], input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **options)
    if check and result.returncode:
        raise Failed(f"{' '.join(map(str, command[:6]))}… ended with {result.returncode}:\n{result.stdout[-1500:]}")
    return result.stdout


def wait_until(condition, timeout, what, interval=0.5):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout} s: {what}")
        time.sleep(interval)  # the interval of a poll with a deadline


def load_images(images):
    command = os.environ.get("PARLEY_LOAD_IMAGES")
    if command:
        run(*shlex.split(command), *images)


class Release:
    def __init__(self, namespace, tag, prefix, restricted):
        self.namespace, self.name, self.tag, self.prefix, self.restricted = namespace, "parley", tag, prefix, restricted
        self.storage = os.environ.get("PARLEY_TEST_STORAGE")

    # --- the namespace ---

    def create(self):
        label = {"pod-security.kubernetes.io/enforce": "restricted"} if self.restricted else {}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": label}})
        for i in range(VOLUMES if self.storage else 0):
            folder = Path(self.storage) / self.namespace / str(i)
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # no fsGroup for a folder of the node
            self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{self.namespace}-{i}"}, "spec": {
                "storageClassName": self.storage_class, "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": str(folder)}}})

    def remove(self):
        run("helm", "uninstall", self.name, "--namespace", self.namespace, "--ignore-not-found", "--wait", check=False)
        run("kubectl", "delete", "namespace", self.namespace, "--ignore-not-found", "--wait", timeout=300)
        for i in range(VOLUMES if self.storage else 0):
            run("kubectl", "delete", "pv", f"{self.namespace}-{i}", "--ignore-not-found")
        if self.storage:
            shutil.rmtree(Path(self.storage) / self.namespace, ignore_errors=True)

    @property
    def storage_class(self):
        return f"{CLASS}-{self.namespace}"

    # --- kubectl ---

    def kubectl(self, *args, **kwargs):
        return run("kubectl", "--namespace", self.namespace, *args, **kwargs)

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in objects))

    def get(self, kind, selector=None):
        args = ["get", kind, "-o", "json"] + (["-l", selector] if selector else [])
        return json.loads(self.kubectl(*args))["items"]

    def pods(self, component):
        return [p for p in self.get("pods", f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}")
                if "deletionTimestamp" not in p["metadata"]]

    @staticmethod
    def is_ready(pod):
        return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))

    def ready(self, *components):
        """Every pod of them is ready, and none is about to go"""
        for component in components:
            pods = self.pods(component)
            if not pods or not all(self.is_ready(pod) for pod in pods):
                return False
        return True

    def wait_ready(self, timeout=240):
        wait_until(lambda: self.ready("gateway", "history", "presence", "upload", "web", "nats", "postgresql"), timeout, "all pods are ready", 1)

    def wait_gone(self, component, timeout=120):
        """Until the old pods have ended: helm waits for them neither to be told so, which the last one is some seconds after its successor is ready, nor to go"""
        self.kubectl("rollout", "status", f"deployment/{self.name}-{component}", f"--timeout={timeout}s")

        def going():
            return [p for p in self.get("pods", f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}")
                    if "deletionTimestamp" in p["metadata"]]
        wait_until(lambda: not going(), timeout, f"the old pods of {component} have ended", 1)

    def crash(self, pod, component):
        """Ends the process of a container at once: what is in its memory is lost, and the kubelet starts it again on the same volume.

        Not `kubectl delete --force`: that forgets a pod before it has ended, and its successor has the same volume by then, so that two servers write
        into one store. From a container beside it, for images have no shell; QUIT, for a process 1 takes no KILL from within its namespace, and neither Go nor
        PostgreSQL tidy up at QUIT."""
        name = pod["metadata"]["name"]

        def restarts():
            return sum(c["restartCount"] for c in json.loads(self.kubectl("get", "pod", name, "-o", "json"))["status"]["containerStatuses"])
        before = restarts()
        self.kubectl("debug", f"pod/{name}", f"--image={self.prefix}-check:{self.tag}", "--image-pull-policy=IfNotPresent", f"--target={component}",
                     "--profile=restricted", f"--container=crash-{int(time.time() * 10)}", "--attach=false", "--quiet", "--",
                     "/usr/bin/python3", "-c", "import os, signal; os.kill(1, signal.SIGQUIT)")
        wait_until(lambda: restarts() > before, 60, f"{name} has ended and begun again")

    @contextlib.contextmanager
    def forward(self, target, port):
        """The address at which a port of a pod or Service is reached from here"""
        process = subprocess.Popen(["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        try:
            line = process.stdout.readline()
            if "Forwarding from 127.0.0.1:" not in line:
                raise Failed(f"port-forward to {target}: {line}")
            yield "127.0.0.1:" + line.split("127.0.0.1:")[1].split(" ")[0]
        finally:
            process.kill()
            process.wait()

    def get_json(self, target, port, path):
        with self.forward(target, port) as address, urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return json.load(answer)

    def secret(self, key):
        secret = json.loads(self.kubectl("get", "secret", f"{self.name}-parley-secrets", "-o", "json"))
        return base64.b64decode(secret["data"][key]).decode()

    # --- helm ---

    def values(self, tag):
        flags = ["-f", CHART / "values-trial.yaml", "--set", f"image.prefix={self.prefix},image.tag={tag}",
                 "--set", f"nats.image={self.prefix}-nats:{self.tag},postgresql.image={self.prefix}-postgres:{self.tag}",
                 "--set", "nats.storage.size=1Gi,nats.storage.maxFileStore=900Mi,postgresql.storage.size=1Gi,upload.persistence.size=1Gi",
                 "--set", "bus.logMaxBytes=104857600"]
        if self.storage:
            flags += ["--set", ",".join(f"{key}.storageClass={self.storage_class}" for key in ("nats.storage", "postgresql.storage", "upload.persistence"))]
        if os.environ.get("PARLEY_TEST_VALUES"):
            flags += ["-f", os.environ["PARLEY_TEST_VALUES"]]
        return flags

    def helm(self, verb, *args, timeout=600):
        return run("helm", verb, self.name, *args, "--namespace", self.namespace, timeout=timeout)

    def upgrade(self, tag, *args, timeout=420):
        return self.helm("upgrade", CHART, "--install", *self.values(tag), *args, "--wait", "--timeout", f"{timeout}s", timeout=timeout + 60)

    def test(self):
        try:
            self.helm("test", "--logs", "--timeout", "120s")
        except Failed as error:
            raise Failed(f"{error}\n{self.kubectl('logs', f'{self.name}-test', check=False)}") from None


def pod_of(release, name, labels, **container):
    """A pod with the image `check` that Pod Security lets in"""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False,
                     "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                                         "seccompProfile": {"type": "RuntimeDefault"}},
                     "containers": [{"name": name, "image": f"{release.prefix}-check:{release.tag}",
                                     "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
                                     "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, **container}]}}


class Fewest:
    """Watches how few pods of a component are ready: n"""

    def __init__(self, release, component):
        self.release, self.component, self.n = release, component, None
        self.over, self.thread = threading.Event(), threading.Thread(target=self._watch)

    def _watch(self):
        while not self.over.wait(0.5):
            ready = sum(self.release.is_ready(pod) for pod in self.release.pods(self.component))
            self.n = ready if self.n is None else min(self.n, ready)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.n is not None or not self.thread.is_alive(), 30, "the pods are counted")
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()


class Load:
    """Clients in a pod of the cluster that talk until they are stopped"""

    def __init__(self, release, clients=60, senders=6, rate=5):
        self.release, self.name = release, f"load-{int(time.time() * 10) % 10**8}"
        r = release
        env = {"PARLEY_WS_URL": f"ws://{r.name}-gateway:8081/ws", "PARLEY_BASE_URL": f"http://{r.name}-web", "CLIENTS": clients,
               "SENDERS": senders, "RATE": rate, "PARLEY_TOKEN_SECRET_FILE": "/run/secrets/parley/token-secret"}
        labels = {"app.kubernetes.io/name": "parley", "app.kubernetes.io/instance": r.name, "app.kubernetes.io/component": "test"}
        self.pod = pod_of(r, self.name, labels, args=["load"], env=[{"name": k, "value": str(v)} for k, v in env.items()],
                          volumeMounts=[{"name": "secrets", "mountPath": "/run/secrets/parley", "readOnly": True}])
        self.pod["spec"]["volumes"] = [{"name": "secrets", "secret": {"secretName": f"{r.name}-parley-secrets", "items": [
            {"key": "token-secret", "path": "token-secret"}]}}]

    def __enter__(self):
        self.release.apply(self.pod)
        wait_until(lambda: "ready" in self.logs(), 90, "the load is connected", 1)
        return self

    def logs(self):
        return self.release.kubectl("logs", self.name, check=False)

    def stop(self):
        """Ends it and returns what it tells"""
        self.release.kubectl("exec", self.name, "--", "/usr/bin/touch", "/tmp/stop")
        result = wait_until(lambda: [line for line in self.logs().splitlines() if line.startswith("{")] or self.ended(), 300,
                            "the load tells what came of it", 1)
        if not isinstance(result, list):
            raise Failed(f"the load ended:\n{self.logs()[-1500:]}")
        return json.loads(result[0])

    def ended(self):
        return self.release.kubectl("get", "pod", self.name, "-o", "jsonpath={.status.phase}") in ("Failed", "Succeeded")

    def __exit__(self, *exc):
        self.release.kubectl("delete", "pod", self.name, "--now", "--ignore-not-found", check=False)
