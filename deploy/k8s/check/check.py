#!/usr/bin/env python3
"""What runs in the image `check`: helm test, the load of scripts/test-helm, and the Job that makes a trial's secrets.

usage: check.py message          sends a message through and reads it back, live and from history
       check.py load             talks until /tmp/stop exists, then tells in one line of JSON what came of it
       check.py make-secrets     fills in what is missing in the Secret SECRET_NAME

The address and the secret are in PARLEY_WS_URL, PARLEY_BASE_URL and PARLEY_TOKEN_SECRET_FILE. `message` takes two ready tokens instead, from the
files first and second in PARLEY_TOKENS_DIR, and then speaks in a direct channel of those two users, not in one that everybody reads.
"""

import asyncio
import base64
import hashlib
import json
import os
import secrets
import ssl
import sys
import time
import uuid
from pathlib import Path

import httpx
import jwt

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.client import Client, ProtocolViolation  # noqa: E402

STOP = Path("/tmp/stop")
CHANNEL = "general"
MADE = "parley/made"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Target:
    """Where it is and who one is there: what the tests' client asks of a stack"""

    def __init__(self):
        self.ws_url, self.base_url = os.environ["PARLEY_WS_URL"], os.environ["PARLEY_BASE_URL"]
        path, folder = Path(os.environ["PARLEY_TOKEN_SECRET_FILE"]), Path(os.environ.get("PARLEY_TOKENS_DIR", "/nonexistent"))
        self.given = [(folder / name).read_text().strip() for name in ("first", "second") if (folder / name).exists()]
        self.secret = path.read_text().strip() if path.exists() else None
        if len(self.given) != 2 and not self.secret:
            raise SystemExit(f"there is no {path}: without the shared secret no token can be signed here; name a Secret with two of your issuer (tests.tokensSecret)")

    def two_tokens(self, run):
        return self.given if len(self.given) == 2 else [self.token(f"test-{run}-{who}") for who in "ab"]

    def token(self, user, ttl=3600):
        now = int(time.time())
        claims = {"sub": user, "name": user, "iat": now, "exp": now + ttl, "iss": os.environ.get("PARLEY_TOKEN_ISSUER"),
                  "aud": os.environ.get("PARLEY_TOKEN_AUDIENCE")}
        return jwt.encode({k: v for k, v in claims.items() if v}, self.secret, algorithm="HS256")

    def rest(self, token):
        return httpx.Client(base_url=self.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    def history(self, token, channel, after):
        """Every event of the channel behind `after`, as history serves it"""
        events = []
        with self.rest(token) as rest:
            while True:
                answer = rest.get(f"/api/channels/{channel}/events", params={"after": after, "limit": 500})
                if answer.status_code != 200:
                    raise ConnectionError(f"history answers {answer.status_code}: {answer.text}")
                page = answer.json()
                events += page["events"]
                after = page["throughSeq"]
                if not page["more"]:
                    return events, after


def history_through(target, token, channel, after, seq, timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        try:
            events, through = target.history(token, channel, after)
            if through >= seq:
                return events
            why = f"it is complete through {through}"
        except (httpx.HTTPError, ConnectionError) as error:
            why = str(error)
        if time.monotonic() > deadline:
            raise SystemExit(f"history has not {seq} within {timeout} s: {why}")
        time.sleep(0.2)  # the interval of a poll with a deadline


# --- message ---


async def direct_channel(target, token, clients):
    """That of the two alone: the same for each test of theirs"""
    users = sorted(client.ready["userId"] for client in clients)
    channel = f"helm-test-{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join(users)).hex}"
    if channel not in clients[0].channels:
        with target.rest(token) as rest:
            answer = rest.post("/api/channels", json={"id": channel, "name": "helm test", "kind": "direct", "members": [clients[1].ready["userId"]]})
        if answer.status_code not in (201, 202):
            raise SystemExit(f"a direct channel of {' and '.join(users)} is answered {answer.status_code}: {answer.text}")
    for client in clients:
        await client.wait(lambda client=client: channel in client.channels, 20, "the direct channel is there")
    return channel


async def message():
    target, run = Target(), uuid.uuid4().hex[:8]
    first, second = target.two_tokens(run)
    async with Client(target, "first", token=first) as ada, Client(target, "second", token=second) as bob:
        channel = await direct_channel(target, first, (ada, bob)) if target.given else CHANNEL
        ack = await ada.send(channel, f"helm test {run}")
        await bob.wait(lambda: any(m["id"] == ack["id"] for m in bob.messages(channel)), 20, "the other one sees the message")
        events = history_through(target, second, channel, ack["seq"] - 1, ack["seq"])
        stored = [e["message"]["content"] for e in events if e.get("message", {}).get("id") == ack["id"]]
        if stored != [f"helm test {run}"]:
            raise SystemExit(f"history has {stored} under the id of the message")
    print(f"sent, seen live and read back from history: seq {ack['seq']} of {channel}")


# --- load ---


class Watcher(Client):
    """Notes when its connection ended and when it was ready again."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ended, self.back = [], []

    async def _session(self):
        try:
            await super()._session()
        finally:
            if self.online.is_set():
                self.ended.append(time.time())

    async def _on_frame(self, frame):
        if frame["type"] == "ready" and self.ended:
            self.back.append(time.time())
        await super()._on_frame(frame)


async def talk(client, sent, unsent, rate):
    n = 0
    while not STOP.exists():
        content = f"{client.user} {n}"
        n += 1
        ack = await client.send_until_acked(CHANNEL, content, 120)
        if ack:
            sent[ack["id"]] = (content, ack["seq"])
        else:
            unsent.append(content)
        await asyncio.sleep(1 / rate)  # the rate


def judge(sent, events, clients):
    """What of the acked is lost, and what is there twice; in history and at each client"""
    ids = [e["message"]["id"] for e in events if "message" in e]
    contents = [e["message"]["content"] for e in events if "message" in e]
    doubled = len(ids) - len(set(ids)) + len(contents) - len(set(contents))
    lost = [i for i, (content, seq) in sent.items() if not any(e["seq"] == seq and e.get("message", {}).get("content") == content for e in events)]
    unseen = 0
    for client in clients:
        seen = [m["id"] for m in client.messages(CHANNEL)]
        doubled += len(seen) - len(set(seen))
        unseen += len(set(sent) - set(seen))
    return len(lost) + unseen, doubled


async def load():
    target, run = Target(), uuid.uuid4().hex[:6]
    clients = [Watcher(target, f"load-{run}-{i}", reconnect=True) for i in range(int(os.environ.get("CLIENTS", "60")))]
    for client in clients:
        await client.connect()
    start = min(c.channels[CHANNEL].cursor for c in clients)
    print("ready", flush=True)
    sent, unsent, violations = {}, [], []
    talkers = [asyncio.create_task(talk(c, sent, unsent, float(os.environ.get("RATE", "5")))) for c in clients[:int(os.environ.get("SENDERS", "6"))]]
    for result in await asyncio.gather(*talkers, return_exceptions=True):
        if isinstance(result, BaseException):
            violations.append(repr(result))
    last = max(seq for _, seq in sent.values())
    for client in clients:
        try:
            await client.wait_seq(CHANNEL, last, 60)
        except (AssertionError, ProtocolViolation) as error:
            violations.append(repr(error))
    events = await asyncio.to_thread(history_through, target, target.token(clients[0].user), CHANNEL, start, last)
    lost, doubled = judge(sent, events, clients)
    print(json.dumps({"acked": len(sent), "unanswered": len(unsent), "lost": lost, "doubled": doubled, "violations": violations[:5],
                      "ended": sorted(t for c in clients for t in c.ended), "back": sorted(t for c in clients for t in c.back),
                      "clients": len(clients)}), flush=True)
    for client in clients:
        await client.close()


# --- secrets ---


def wanted(there):
    """What is to be in the Secret and is not. Passwords begin with a letter: nats-server reads what looks like a number as one."""
    new = {key: secrets.token_hex(32) for key in ("token-secret", "upload-secret") if key not in there}
    for user in ("gateway", "history", "presence", "upload", "setup", "scanner", "integration", "operator", "system", "routes"):
        if f"nats-{user}-password" not in there:
            new[f"nats-{user}-password"] = "p" + secrets.token_hex(24)
    if os.environ.get("PG_HOST"):
        if "postgres-password" not in there:
            new["postgres-password"] = "p" + secrets.token_hex(24)
        if "pg-url" not in there:
            password = new.get("postgres-password") or base64.b64decode(there["postgres-password"]).decode()
            new["pg-url"] = f"postgresql://parley:{password}@{os.environ['PG_HOST']}:5432/parley"
    return {key: base64.b64encode(value.encode()).decode() for key, value in new.items()}


def made(data):
    """What the chart compares with: as long as it is so, nobody has changed what was made (parley.secretData). The password between servers rolls nothing"""
    return hashlib.sha256(json.dumps({k: v for k, v in data.items() if k != "nats-routes-password"}, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def api_server():
    """Its address is a bare number, also where the cluster has IPv6"""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    return f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}"


def make_secrets():
    name, space = os.environ["SECRET_NAME"], (ACCOUNT / "namespace").read_text()
    url = f"{api_server()}/api/v1/namespaces/{space}/secrets"
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters make CAs without a key usage, which Python 3.13 refuses
    with httpx.Client(verify=trust, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}, timeout=20) as api:
        there = api.get(f"{url}/{name}")
        if there.status_code == 404:
            new = wanted({})
            answer = api.post(url, json={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "annotations": {MADE: made(new)}}, "data": new})
        else:
            there.raise_for_status()
            data, about = there.json().get("data") or {}, there.json()["metadata"]
            new = wanted(data)
            untouched = (about.get("annotations") or {}).get(MADE) == made(data)
            # only if nobody else has changed it meanwhile
            answer = api.patch(f"{url}/{name}", headers={"Content-Type": "application/merge-patch+json"}, json={
                "metadata": {"resourceVersion": about["resourceVersion"], **({"annotations": {MADE: made({**data, **new})}} if untouched else {})}, "data": new})
        answer.raise_for_status()
    print(f"{name}: made {', '.join(sorted(new)) or 'nothing, all is there'}")


def main(arguments):
    modes = {"message": lambda: asyncio.run(message()), "load": lambda: asyncio.run(load()), "make-secrets": make_secrets}
    if len(arguments) != 1 or arguments[0] not in modes:
        raise SystemExit(__doc__)
    modes[arguments[0]]()


if __name__ == "__main__":
    main(sys.argv[1:])
