"""The chart as its tests see it: rendered, and read."""

import functools
import json
import os
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/k8s/parley"
TOOLS = ROOT / ".deps/go/bin"
GOLDEN = Path(__file__).resolve().parent / "golden"
SERVICES = ("gateway", "history", "presence", "upload", "web")

# what is rendered, checked against the schemas and the policy: name -> flags
MATRIX = {
    "trial": ["-f", CHART / "values-trial.yaml"],
    "production": ["-f", CHART / "values-production.yaml"],
    "minimal": ["--set", "bus.url=nats://nats:4222"],
    "no-auth-of-nats": ["--set", "bus.url=nats://nats:4222,bus.auth=false,bus.accounts.create=false"],
    "one-nats": ["-f", CHART / "values-trial.yaml", "--set", "nats.replicas=1,bus.replicas=1"],
    "s3": ["--set", "bus.url=nats://nats:4222,upload.store=s3,objectStore.endpoint=https://s3,objectStore.bucket=b,objectStore.tls.caSecret=s3-ca,upload.replicas=3,upload.autoscaling.enabled=true"],
    "gateway-api": ["--set", "bus.url=nats://nats:4222,gatewayApi.enabled=true", "--set-json", 'gatewayApi.parentRefs=[{"name":"edge"}]'],
    "scaled": ["--set", "bus.url=nats://nats:4222,metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true,gateway.autoscaling.connections.enabled=true,priorityClasses.create=true",
               *(f"--set={s}.autoscaling.enabled=true" for s in ("gateway", "history", "presence", "web"))],
    "closed": ["-f", CHART / "values-trial.yaml", "--set-json", 'networkPolicy.clientsFrom=[{"namespaceSelector":{}}]', "--set-json",
               'networkPolicy.metricsFrom=[{"ipBlock":{"cidr":"10.0.0.0/8"}}]'],
    "own-claims": ["--set", "bus.url=nats://nats:4222,upload.persistence.existingClaim=files,secrets.existing=mine,setup.enabled=false,global.networkPolicy.enabled=false,"
                   "podDisruptionBudget.enabled=false,topologySpread.enabled=false,global.imagePullSecrets={one},fullnameOverride=chat"],
    "gateway-tls": ["--set", "bus.url=nats://nats:4222,gateway.tls.existingSecret=chat-tls"],
    "shards": ["-f", CHART / "values-trial.yaml", "--set", "shards=3,auth.jwksUrl=https://x.example/keys"],
}


class Refused(Exception):
    pass


def helm(*args):
    result = subprocess.run([TOOLS / "helm", *map(str, args)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "HELM_NO_PLUGINS": "1"})
    if result.returncode:
        raise Refused(result.stderr)
    return result.stdout


@functools.lru_cache(maxsize=64)
def text(*flags):
    return helm("template", "parley", CHART, "--namespace", "chat", *flags)


def render(*flags):
    """What the chart makes, by (kind, name)"""
    objects = [o for o in yaml.safe_load_all(text(*map(str, flags))) if o]
    named = {(o["kind"], o["metadata"]["name"]): o for o in objects}
    assert len(named) == len(objects), "two objects of one name"
    return named


def values(**settings):
    """Flags for settings as gateway__config__PARLEY_X=1"""
    flags = ["--set", "bus.url=nats://nats:4222"]
    for name, value in settings.items():
        flags += ["--set-json", f"{name.replace('__', '.')}={json.dumps(value)}"]
    return flags


def pod_specs(objects):
    """(kind/name, spec) of everything that becomes a pod"""
    for (kind, name), o in objects.items():
        if kind == "Pod":
            yield f"{kind}/{name}", o["spec"]
        elif kind in ("Deployment", "StatefulSet", "Job"):
            yield f"{kind}/{name}", o["spec"]["template"]["spec"]


def container(objects, name):
    return objects["Deployment", f"parley-{name}"]["spec"]["template"]["spec"]["containers"][0]


def env(objects, name):
    return {e["name"]: e.get("value") for e in container(objects, name)["env"]}
