"""scripts/test-helm: the chart on a real cluster. Its usage is there."""

import argparse
import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import httpx
import jwt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import ROOT, Failed, Fewest, Load, Release, load_images, pod_of, run, wait_until  # noqa: E402
import rights  # noqa: E402
import schema  # noqa: E402
import wss  # noqa: E402
from outside import Outside  # noqa: E402
from support.client import Client, Refused  # noqa: E402

SERVICES = ("gateway", "history", "presence", "upload", "web")
STORES = ("nats", "postgresql")
DRAIN_S = 5.0  # PARLEY_DRAIN_MS of the gateways


def judged(result, what=""):
    """A load that lost or doubled nothing; its figures as text"""
    if result["lost"] or result["doubled"] or result["violations"] or not result["acked"]:
        raise Failed(f"{what}: {({k: v for k, v in result.items() if k not in ('ended', 'back')})}")
    return f"{result['acked']} acked, 0 lost, 0 doubled, {len(result['back'])} reconnects of {result['clients']} clients"


def histogram(times, width=0.5):
    """Reconnects as lines; pauses between the stops of two pods are left out"""
    lines, counts = [], {}
    for t in times:
        counts[int((t - times[0]) / width)] = counts.get(int((t - times[0]) / width), 0) + 1
    last = None
    for slot in sorted(counts):
        if last is not None and slot - last > 1:
            lines.append(f"           … {(slot - last) * width:.1f} s without")
        lines.append(f"  {slot * width:6.1f} s  {counts[slot]:3d} {'#' * counts[slot]}")
        last = slot
    return lines


def token(release, user, key=None, **claims):
    now = int(time.time())
    claims = {k: v for k, v in claims.items() if v is not None}
    return jwt.encode({"sub": user, "name": user, "iat": now, "exp": now + 600, **claims}, key or release.secret("token-secret"), algorithm="HS256")


# --- steps: each gets the release and returns what the table says of it ---


def step_install(r):
    """And once more with the same values, which replaces nobody: also not for the Secret, which was not there when the first one was rendered"""
    def running():
        return {pod["metadata"]["uid"] for component in (*SERVICES, *STORES) for pod in r.pods(component)}
    r.upgrade(r.tag)
    before = running()
    r.upgrade(r.tag)
    if running() != before:
        raise Failed(f"{len(running() - before)} of {len(before)} pods were replaced by an upgrade that changes nothing")
    return f"{len(before)} pods, none replaced by the same again"


def step_test(r):
    r.test()
    return "sent, seen live, read back"


def step_chat(r):
    """The project's own client, through the Service of the edge"""
    async def talk(address):
        class Stack:
            ws_url, base_url = f"ws://{address}/ws", f"http://{address}"

            def token(self, user):
                return token(r, user)
        async with Client(Stack(), "ada") as ada, Client(Stack(), "bob", protocol="parley.v1.json") as bob:
            content = uuid.uuid4().hex
            ack = await ada.send("general", content)
            await bob.wait(lambda: any(m["content"] == content for m in bob.messages("general")), 20, "the message")
            return ack["seq"]
    with r.forward(f"service/{r.name}-web", 80) as address:
        if httpx.get(f"http://{address}/").status_code != 200:
            raise Failed("the page is not there")
        return f"page, WebSocket, seq {asyncio.run(talk(address))}"


def step_rights(r):
    """What services say to each other, and no violation of the rights that the chart gives them"""
    def token_of(user, **claims):
        return token(r, user, **claims)
    with r.forward(f"service/{r.name}-web", 80) as address:
        asyncio.run(rights.talk(rights.Reached(address, token_of), f"ann-{uuid.uuid4().hex[:6]}", f"bob-{uuid.uuid4().hex[:6]}"))
    found = rights.violations(r)
    if found:
        raise Failed("nats-server refused:\n" + "\n".join(found[:10]))
    return "files, scans, typing, presence, edits, deletion; nothing was refused by NATS"


STRANGER = """import socket, sys
for place in sys.argv[1:]:
    host, port = place.split(":")
    try:
        socket.create_connection((host, int(port)), 4).close()
        print("reached", place)
    except OSError as error:
        print("not", place, error)
"""


def step_policies(r):
    """A pod that is no part of the release reaches the edge and nothing behind it, where the cluster enforces NetworkPolicies"""
    inside = [f"{r.name}-{place}" for place in ("nats:4222", "postgresql:5432", "history:8082", "presence:8083")]
    pod = pod_of(r, "stranger", {}, command=["/usr/bin/python3", "-c", STRANGER, *inside, f"{r.name}-web:80"])
    r.kubectl("delete", "pod", "stranger", "--ignore-not-found", "--now")
    r.apply(pod)
    try:
        said = wait_until(lambda: (lines := r.kubectl("logs", "stranger", check=False).splitlines()) and len(lines) > len(inside) and lines, 90, "the stranger has tried")
    finally:
        r.kubectl("delete", "pod", "stranger", "--now")
    reached = [line.split()[1] for line in said if line.startswith("reached ")]
    if f"{r.name}-web:80" not in reached:
        raise Failed(f"the edge is not reached: {said}")
    if set(inside) <= set(reached):
        return "NOT TRIED: this cluster's network enforces no NetworkPolicies"
    if set(inside) & set(reached):
        raise Failed(f"reached: {reached}")
    return f"a stranger reaches the edge, and none of {len(inside)} places behind it"


def step_scale(r):
    """An autoscaler owns the number of gateways, and clients stay; an Ingress leads to Services that have pods"""
    with Load(r) as load:
        with Fewest(r, "gateway") as fewest:
            r.upgrade(r.tag, "--set", "gateway.autoscaling.enabled=true,gateway.autoscaling.minReplicas=3,ingress.enabled=true")
            wait_until(lambda: len(r.pods("gateway")) == 3 and r.ready("gateway"), 120, "there is a third gateway", 1)
        if fewest.n < 2:
            raise Failed(f"while the autoscaler was switched on there were only {fewest.n} gateways")
        behind = {s["name"] for rule in r.get("ingress")[0]["spec"]["rules"] for path in rule["http"]["paths"] for s in [path["backend"]["service"]]}
        empty = [name for name in behind if not any(e.get("endpoints") for e in r.get("endpointslices", f"kubernetes.io/service-name={name}"))]
        if empty:
            raise Failed(f"the Ingress leads to {empty}, which have no pods")
        r.upgrade(r.tag)
        wait_until(lambda: len(r.pods("gateway")) == 2, 60, "two gateways are left", 1)
        r.wait_gone("gateway")
        result = load.stop()
    return f"2, 3 and 2 gateways, never fewer; Ingress to {len(behind)} Services; {judged(result, 'scale')}"


def step_upgrade(r):
    """To changed images, that of history with a changed schema"""
    changed = f"{r.tag}-changed"
    images = [f"{r.prefix}-history:{changed}"]
    schema.build_next(r, changed)
    for name in (name for name in SERVICES if name != "history"):
        image = f"{r.prefix}-{name}:{changed}"
        run(os.environ.get("DOCKER", "docker"), "build", "--quiet", "--tag", image, "-",
            stdin=f"FROM {r.prefix}-{name}:{r.tag}\nLABEL changed={time.time()}\n")
        images.append(image)
    run(os.environ.get("DOCKER", "docker"), "tag", f"{r.prefix}-check:{r.tag}", f"{r.prefix}-check:{changed}")
    load_images([*images, f"{r.prefix}-check:{changed}"])
    with Load(r) as load:
        r.upgrade(changed)
        r.wait_gone("gateway")
        result = load.stop()
    text = judged(result, "upgrade")
    schema.expect_version(r, schema.newest() + 1)
    if len(result["back"]) < result["clients"]:
        raise Failed(f"both gateways were replaced, and {len(result['back'])} of {result['clients']} clients came back")
    running = {p["spec"]["containers"][0]["image"] for p in r.pods("gateway")}
    if running != {f"{r.prefix}-gateway:{changed}"}:
        raise Failed(f"the gateways run {running}")
    print("  reconnects, from the first one:")
    print("\n".join(histogram(result["back"])))
    widest = max(sum(1 for t in result["back"] if begin <= t < begin + 1) for begin in result["back"])
    if widest > 0.75 * result["clients"]:
        raise Failed(f"{widest} of {result['clients']} clients came back within a second")
    return f"{text}, at most {widest} in a second; schema {schema.newest()}, then {schema.newest() + 1}"


def step_rollback(r):
    """The schema stays as the next version made it: history goes on with it and begins anew on it, unless it is told that it cannot"""
    with Load(r) as load:
        r.helm("rollback", "--wait", "--timeout", "420s")
        r.wait_gone("gateway")
        schema.begin_anew(r)
        schema.refuses(r)
        result = load.stop()
    schema.expect_version(r, schema.newest() + 1)
    running = {p["spec"]["containers"][0]["image"] for p in r.pods("gateway")}
    if running != {f"{r.prefix}-gateway:{r.tag}"}:
        raise Failed(f"the gateways run {running}")
    return f"{judged(result, 'rollback')}; schema {schema.newest() + 1} read by a history that knows {schema.newest()}, refused where it is to be"


def step_kill(r):
    """Each pod in turn, at once and without a word; those with a store are crashed, see there"""
    killed = 0
    with Load(r) as load:
        for component in (*SERVICES, *STORES):
            for pod in r.pods(component):
                if component in STORES:
                    r.crash(pod, component)
                else:
                    r.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
                killed += 1
                wait_until(lambda: len(r.pods(component)) >= 1 and r.ready(component), 240, f"{component} is ready again", 1)
        r.wait_ready()
        result = load.stop()
    return f"{killed} pods; {judged(result, 'kill')}"


def leader(r):
    """Which nats-server leads the log"""
    for pod in r.pods("nats"):
        info = r.get_json(f"pod/{pod['metadata']['name']}", 8222, "/jsz?accounts=1&streams=1")
        for account in info.get("account_details", []):
            for stream in account.get("stream_detail", []):
                if stream["name"] == "CHAT_0" and stream.get("cluster", {}).get("leader"):
                    return stream["cluster"]["leader"]
    raise Failed("no nats-server knows a leader of CHAT_0")


def step_leader(r):
    with Load(r) as load:
        was = leader(r)
        r.crash(next(pod for pod in r.pods("nats") if pod["metadata"]["name"] == was), "nats")
        wait_until(lambda: r.ready("nats"), 300, "all servers of NATS are ready again", 1)
        now = leader(r)
        result = load.stop()
    return f"{was}, then {now}; {judged(result, 'leader')}"


def step_migration(r):
    """The hook's first try fails, for PostgreSQL takes nobody into the database; the next one does it"""
    failures, errors = [], []

    def let_in(yes):
        schema.sql(r, f"ALTER DATABASE parley ALLOW_CONNECTIONS {yes}", "postgres")

    def upgrade():
        try:
            # PostgreSQL itself is ready: of one that is not the chart thinks that this upgrade may mend it, and sets it up behind it
            r.upgrade(r.tag, "--set", "setup.timeoutSeconds=5")
        except Failed as error:
            errors.append(error)
    let_in("false")
    thread = threading.Thread(target=upgrade)
    thread.start()
    try:
        wait_until(lambda: failures.extend(p for p in r.pods("setup") if p["status"]["phase"] == "Failed") or failures or errors, 120,
                   "a try of the hook has failed", 0.2)
    finally:
        let_in("true")
        thread.join()
    if errors:
        raise errors[0]
    r.wait_ready()
    return f"{failures[0]['metadata']['name']} failed, the next one did it"


def step_rotate(r):
    """A password of NATS under load, and the secret of tokens"""
    def rotate(key, value):
        r.kubectl("patch", "secret", f"{r.name}-parley-secrets", "--type=merge", "-p", json.dumps({"stringData": {key: value}}))
        r.upgrade(r.tag)
    with Load(r) as load:
        rotate("nats-gateway-password", "p" + secrets.token_hex(24))
        r.wait_gone("gateway")
        talked = judged(load.stop(), "rotate")
    old, new = r.secret("token-secret"), secrets.token_hex(32)
    rotate("token-secret", new)
    with r.forward(f"service/{r.name}-web", 80) as address:
        def status(key):
            return httpx.get(f"http://{address}/api/channels", headers={"Authorization": f"Bearer {token(r, 'ada', key)}"}).status_code
        if (status(old), status(new)) != (401, 200):
            raise Failed(f"with the old secret {status(old)}, with the new one {status(new)}")
    r.test()
    return f"a password of NATS: {talked}; tokens: old ones 401, new ones 200"


def step_wss(r):
    """TLS in the gateway, and a rotated certificate"""
    class Stack:
        def token(self, user):
            return token(r, user)
    asyncio.run(wss.try_it(r, Stack()))
    return "chat by wss; a rotated certificate is served without a restart or a reconnect"


def events(r):
    with r.forward(f"service/{r.name}-web", 80) as address:
        answer = httpx.get(f"http://{address}/api/channels/general/messages", params={"limit": 5}, headers={"Authorization": f"Bearer {token(r, 'ada')}"})
        answer.raise_for_status()
        return [(m["id"], m["content"]) for m in answer.json()["messages"]]


def step_reinstall(r):
    before = events(r)
    r.helm("uninstall", "--wait")
    wait_until(lambda: not [p for p in r.get("pods", f"app.kubernetes.io/instance={r.name}") if p["status"]["phase"] in ("Pending", "Running")], 120,
               "all pods are gone")
    r.upgrade(r.tag)
    if not before or events(r) != before:
        raise Failed(f"before: {before}; after: {events(r)}")
    r.test()
    return f"the last {len(before)} messages are the same"


def refuses(release, setting, secret, component):
    """With the certificate of another authority it does not begin, and says why"""
    try:
        release.upgrade(release.tag, "--set", f"{setting}.tls.caSecret={secret},setup.backoffLimit=0,setup.timeoutSeconds=5", timeout=45)
    except Failed as error:
        refusal = error
        said = release.kubectl("logs", "-l", f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component={component}", "--all-containers", "--ignore-errors",
                               "--tail=50", check=False)
    else:
        raise Failed(f"installed with {secret}")
    if "certificate" not in said:
        raise Failed(f"with {secret} {component} says:\n{said[-1500:]}\nand helm:\n{refusal}")
    release.helm("uninstall", "--ignore-not-found", "--wait")


def step_tls(r):
    """NATS, PostgreSQL and S3 outside of the release, each behind TLS with an authority of its own"""
    r.helm("uninstall", "--ignore-not-found", "--wait")
    outside = Outside(r)
    try:
        outside.put_servers()
        refuses(outside, "database", "outside-postgresql-wrong-ca", "setup")
        refuses(outside, "bus", "outside-nats-wrong-ca", "setup")
        refuses(outside, "objectStore", "outside-s3-wrong-ca", "upload")
        outside.upgrade(r.tag, timeout=180)
        outside.test()
    finally:
        outside.remove()
    return "NATS, PostgreSQL and S3 by TLS; each refused with another authority"


STEPS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("step_")}


# --- running them ---


def tell(release):
    """What an engineer wants to see of a failed step"""
    print(release.kubectl("get", "pods,jobs", "-o", "wide", check=False))
    print(release.kubectl("get", "events", "--field-selector", "type=Warning", "--sort-by=.lastTimestamp", check=False)[-2500:])
    for component in (*SERVICES, "setup", *STORES):
        print(f"--- {component}\n" + release.kubectl("logs", "-l", f"app.kubernetes.io/component={component}", "--all-containers", "--prefix",
                                                     "--tail=6", check=False)[-2000:])


def run_steps(release, names):
    rows = []
    for name in names:
        print(f"\n=== {release.namespace}: {name}", flush=True)
        began = time.monotonic()
        try:
            text, ok = STEPS[name](release), True
        except (Failed, Refused, AssertionError, httpx.HTTPError, subprocess.TimeoutExpired, OSError, KeyError) as error:
            text, ok = str(error), False
            tell(release)
        print(f"  {text}", flush=True)
        rows.append((release.namespace, name, ok, time.monotonic() - began, text.splitlines()[0][:150] if text else ""))
        if not ok and name == "install":
            break
    return rows


def version():
    return re.search(r"^project\(parley VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M).group(1)


def main():
    parser = argparse.ArgumentParser(prog="scripts/test-helm")
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--restricted", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(STEPS))
        return 0
    unknown = set(arguments.only or []) - set(STEPS)
    if unknown:
        parser.error(f"there is no step {', '.join(unknown)}; --list names them")
    tag, prefix = os.environ.get("PARLEY_IMAGE_TAG") or version(), os.environ.get("PARLEY_IMAGE_PREFIX", "parley")
    print(run("kubectl", "version").strip() + "\n" + run("helm", "version", "--short").strip())
    load_images([f"{prefix}-{name}:{tag}" for name in (*SERVICES, "check", "nats", "postgres")])
    rows = []
    for restricted in (False, True):
        if (arguments.plain and restricted) or (arguments.restricted and not restricted):
            continue
        release = Release("parley-test-restricted" if restricted else "parley-test", tag, prefix, restricted)
        try:
            if not arguments.only or "install" in arguments.only:
                release.remove()
                release.create()
            rows += run_steps(release, arguments.only or STEPS)
        finally:
            if not arguments.keep:
                release.remove()
    print(f"\n{'namespace':23} {'step':10} {'':6} {'took':>6}")
    for namespace, name, ok, took, text in rows:
        print(f"{namespace:23} {name:10} {'ok' if ok else 'FAILED':6} {took:4.0f} s  {text}")
    failed = sum(not ok for _, _, ok, _, _ in rows)
    print(f"\n{len(rows)} steps, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
