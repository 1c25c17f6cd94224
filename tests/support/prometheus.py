"""A real Prometheus that scrapes the services of a stack."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import httpx
from support.stack import ROOT, SERVICES, wait_until

RULES = ROOT / "deploy" / "observability" / "alerts.yaml"

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
"""
JOB = """
  - job_name: parley-{service}
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    def __init__(self, stack):
        self.dir = Path(tempfile.mkdtemp(prefix="parley-prometheus-"))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        text = CONFIG.format(rules=RULES)
        for service in SERVICES:
            text += JOB.format(service=service, target=stack.admin_url(service).removeprefix("http://"))
        (self.dir / "prometheus.yml").write_text(text)
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=20)

    def __enter__(self):
        self.log = (self.dir / "log").open("w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until(self._ready, 30, "Prometheus is ready")
        return self

    def __exit__(self, *_):
        self.http.close()
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _ready(self):
        assert self.process.poll() is None, (self.dir / "log").read_text()
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression):
        """The values, NaN and all, as text."""
        answer = self.http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return [sample["value"][1] for sample in answer.json()["data"]["result"]]

    def targets_up(self):
        return self.query("up").count("1")

    def rules(self):
        return [rule for group in self.http.get("/api/v1/rules").json()["data"]["groups"] for rule in group["rules"]]
