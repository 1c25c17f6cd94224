"""README's section on Kubernetes, typed as it stands: what its commands bring, and what the installation then asks for."""

import json
import os
import re
import subprocess

import pytest
import yaml
from support_chart import MATRIX, ROOT, TOOLS, pod_specs, render

# Each writes down how it was called; what is made or changed with helm is rendered at that moment
STUB = """#!{python}
import json, os, subprocess, sys
name, *args = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
entry = [name, *args]
if name == "helm" and args[0] in ("upgrade", "template"):
    args = [a for a in args if a not in ("upgrade", "template", "--install", "--wait", "--create-namespace")]
    made = subprocess.run(["{helm}", "template", *args], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(made)
    entry.append(made)
if name == "openssl":
    print("00")
with open("calls", "a") as calls:
    print(json.dumps(entry), file=calls)
"""


def section():
    text = (ROOT / "README.md").read_text().split("\n## On Kubernetes\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.S)


def typed(folder, words):
    """The calls of those blocks of the section that have one of the words, by one shell"""
    stub = STUB.format(python=ROOT / ".deps/venv/bin/python", helm=TOOLS / "helm")
    (folder / "bin").mkdir()
    (folder / "scripts").mkdir()
    for name in ("bin/helm", "bin/kubectl", "bin/kind", "bin/docker", "bin/openssl", "scripts/images"):
        (folder / name).write_text(stub)
        (folder / name).chmod(0o755)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    blocks = [b for b in section() if any(w in b for w in words)]
    assert len(blocks) == len(words)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
    subprocess.run(["bash", "-euc", "\n".join(blocks)], cwd=folder, env={**clean, "PATH": f"{folder}/bin:{os.environ['PATH']}"}, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


def images(made):
    objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(made) if o}
    return {c["image"] for _, spec in pod_specs(objects) for c in spec["containers"] + spec.get("initContainers", [])}


@pytest.mark.parametrize("words, bring", [
    (["kind load"], ["kind", "load"]),
    (["postgresql.image=$PARLEY_IMAGE_PREFIX"], ["docker", "push"]),
    (["values-production.yaml", "PARLEY_IMAGE_TAG"], ["docker", "push"]),
])
def test_what_an_installation_pulls_was_brought_before(tmp_path, words, bring):
    brought, installed = set(), 0
    for call in typed(tmp_path, words):
        if call[:2] == bring:
            brought.add(call[-1])
        elif call[:2] == ["helm", "upgrade"]:
            assert images(call[-1]) == brought
            brought, installed = set(), installed + 1
    assert installed == len(words)


def mounted(objects):
    """name -> keys of each Secret that a pod cannot start without"""
    needed = {}
    for _, spec in pod_specs(objects):
        for volume in spec.get("volumes", []):
            for source in [volume] + volume.get("projected", {}).get("sources", []):
                secret = source.get("secret", {})
                if secret and not secret.get("optional"):
                    needed.setdefault(secret.get("secretName") or secret["name"], set()).update(i["key"] for i in secret["items"])
    return needed


def test_the_secrets_that_the_values_for_production_want_are_made(tmp_path):
    secrets, needed = {}, mounted(render(*MATRIX["production"]))
    for call in typed(tmp_path, ["values-production.yaml"]):
        if "generic" in call:
            secrets[call[call.index("generic") + 1]] = {re.match(r"--from-(?:literal|file)=([^=]+)=", w)[1] for w in call if w.startswith("--from-")}
    needed["parley-secrets"] |= {f"nats-{user}-password" for user in ("scanner", "integration", "operator", "system")}  # which NATS alone has to know
    assert secrets == needed
    assert "NATS_OPERATOR_PASSWORD" in (tmp_path / "accounts.conf").read_text()
