"""Files: one of 1 GiB in parts of 16 MiB, begun by the service and sent by curl, beside what curl alone reaches; how soon uploads begin; and
one whose service and connection are cut in the middle.

per_s counts MB a second of bodies, from the begin to the answer of the completion; where uploads are only begun, it counts these.
The raw limits: for a folder, curl to a bare nginx that stores and a sync of it; for a bucket, curl to the same S3 server by the server's own
protocol; for a begin, one JetStream publish after the other. Everything is sent to the service itself; `parley-local-edge` is through the edge.
"""

import contextlib
import hashlib
import json
import time
import types
import uuid

from harness import procs
from harness.bodies import PART, Dav, File, RawS3, cpu_of, curl, send
from harness.openloop import Requests
from harness.parley import Parley
from harness.raw import RawNats
from harness.result import Result
from harness.system import Client
from support.uploads import Uploader

HELP = "1 GiB in 16 MiB parts, MB/s · raw: curl alone; POST /api/uploads at 500/s · raw: serial JetStream ack; memory, and bytes sent twice after a kill"
QUICK = PARLEY_ALONE = True
PARTS, PARTS_QUICK = 64, 4
CONNS = 4  # bodies at a time
TURNS = 3  # at least, also of a quick run: a file of a tenth of a second goes at half the pace where something else runs beside it
RATE, RATE_QUICK, USERS, BEGIN_CONNS = 500, 100, 100, 32
ENTRY = 400  # bytes of an entry of UPLOADS
RSS_MB, OF_CURL, P99_MS = 32, 0.8, 5
OF_CURL_QUICK = 0.3  # that nothing reads bodies twice or passes them through something slow
MB = 1e6


class Way:
    """One user's way to the upload service of a stack: straight, or through the edge."""

    def __init__(self, name, stack, user, base=None):
        self.name, self.stack, self.channel = name, stack, stack.channel(user)
        base = base or f"http://127.0.0.1:{8084 + stack.offset}"
        self.own = Uploader(types.SimpleNamespace(base_url=base, token=stack.token), user, timeout=120)

    def pids(self):
        return [self.stack.pid(part) for part in ("upload", "nginx", "nats-server", "versitygw") if (self.stack.run_dir / "pids" / part).exists()]

    def begun(self, file):
        return self.own.created(self.channel, size=file.size, sha256=file.composite)

    def signed(self, upload, file, numbers):
        """(url, headers, path) of these parts"""
        asked = [{"number": n, "sha256": file.sums[n - 1].hexdigest()} for n in numbers]
        answer = self.own.rest.post(f"/api/uploads/{upload['id']}/parts", json={"parts": asked})
        assert answer.status_code == 200, answer.text
        return [(self.own.absolute(p["url"]), [(h["name"], h["value"]) for h in p["headers"]], file.paths[p["part"] - 1])
                for p in answer.json()["parts"]]

    def removed(self, file_id):
        answer = self.own.delete(file_id)
        assert answer.status_code == 204, answer.text

    def send(self, folder, file, conns):
        """Seconds from the begin to the answer of the completion."""
        began = time.monotonic()
        upload = self.begun(file)
        curl(folder, self.signed(upload, file, range(1, len(file) + 1)), conns)
        done = self.own.completed(upload)
        seconds = time.monotonic() - began
        assert done["attachment"]["size"] == file.size and done["attachment"]["sha256"] == file.composite, done
        self.removed(upload["id"])
        return seconds


def read_sum(way, file_id):
    """SHA-256 of what a reader gets"""
    got = hashlib.sha256()
    with way.own.bare.stream("GET", way.own.located(file_id)) as answer:
        for piece in answer.iter_raw():
            got.update(piece)
    return got.hexdigest()


# --- sending ---


def transfers(ctx, file, systems, conns):
    """The same file by all of them, in turn and back: who comes first finds the server cold. systems: the limit first"""
    runs = {system.name: [] for system in systems}
    for i in range(max(ctx.repeat, TURNS)):
        for system in systems if i % 2 == 0 else systems[::-1]:
            seconds, cpu = cpu_of(system.pids(), lambda s=system: s.send(ctx.dir, file, conns))
            ctx.say(f"{system.name}: {file.size / seconds / MB:.0f} MB/s, {cpu / file.size * 1e9:.2f} s of processor time a GB")
            runs[system.name].append(Result("upload", system.name, conns=conns, sent=len(file), delivered=len(file), per_s=file.size / seconds / MB,
                                            cpu_us_per_msg=cpu / len(file) * 1e6))
    limit = ctx.emit(runs[systems[0].name], main="per_s")
    for system in systems[1:]:
        found = ctx.emit(runs[system.name], limit, main="per_s")
        if ctx.quick:  # a tenth of a second a file, beside whatever else runs
            ctx.check(f"{system.name}: of what curl alone reaches", found.ratio, OF_CURL_QUICK, at_least=True)
        else:
            ctx.goal(f"{system.name}: of what curl alone reaches", found.ratio, OF_CURL, at_least=True)


# --- cut in the middle ---


def resume(ctx, way, file):
    """The service is killed in the middle of a part, and the connection ends; then the client asks what is there, and sends the rest. One body at a
    time, as the SDK sends them: who has several under way may lose each of them."""
    upload, cut = way.begun(file), len(file) // 2 + 1

    def kill():
        way.stack.kill("upload")
        return way.name == "parley-s3"  # its bodies go elsewhere: the client ends, too

    first = way.signed(upload, file, range(1, cut + 1))
    answers = [send(*request) for request in first[:-1]] + [send(*first[-1], at_half=kill)]
    assert [status for _, status in answers] == [200] * (cut - 1) + [None], f"{way.name}: {answers}"
    way.stack.start("upload")
    there = way.own.state(upload).json()["partsThere"]
    missing = sorted(set(range(1, len(file) + 1)) - set(there))
    answers += [send(*request) for request in way.signed(upload, file, missing)]
    assert all(status == 200 for _, status in answers[cut:]), f"{way.name}, after the restart: {answers[cut:]}"
    done = way.own.completed(upload)
    again = sum(n for n, _ in answers) - file.size
    ctx.check(f"{way.name}, killed: bytes of the part that was cut", again, 1, at_least=True)
    ctx.check(f"{way.name}, killed: bytes that were sent again", again, PART)
    ctx.check(f"{way.name}, killed: files that are not what was sent", int(read_sum(way, done["attachment"]["id"]) != file.whole), 0)
    way.removed(upload["id"])
    return Result("upload", way.name + "-killed", conns=1, sent=len(answers), delivered=len(file))


# --- beginning ---


def requests(system, clients, n):
    """Each user begins in turn; each with another room than the one before."""
    host = f"127.0.0.1:{8084 + system.stack.offset}"
    made = []
    for i in range(n):
        client = clients[i % len(clients)]
        body = json.dumps({"channelId": client.rooms[0], "name": f"{uuid.uuid4()}.bin", "size": 1000 + i, "contentType": "application/octet-stream"})
        made.append(f"POST /api/uploads HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {client.token}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return made


def begins(ctx, system, rate):
    clients = system.provision([Client(f"sender-{i}", (f"sender-room-{i // 10}",)) for i in range(USERS)])
    seconds, runs, raw = ctx.args.seconds, [], []
    stack = system.stack
    with contextlib.ExitStack() as ends:
        nats = ends.enter_context(ctx.started(RawNats()))
        open_loop = ends.enter_context(Requests(("127.0.0.1", 8084 + stack.offset), BEGIN_CONNS))
        open_loop.run(requests(system, clients, rate), rate)  # files, caches and code are warm; not counted
        for _ in range(ctx.repeat):
            ack = nats.publish("serial-ack", rate, seconds, ENTRY)
            raw.append(Result("upload", "raw-ack", rate=rate, sent=ack["sent"], delivered=ack["acked"], per_s=ack["per_s"],
                              **{p: ack[p] for p in ("p50_ms", "p99_ms", "p999_ms")}))
            found, cpu = cpu_of([stack.pid("upload"), stack.pid("nats-server")], lambda: open_loop.run(requests(system, clients, int(rate * seconds)), rate))
            begun = found["statuses"][201]
            ctx.check(f"begins at {rate}/s: requests that were not answered 201", int(rate * seconds) - begun, 0)
            ctx.say(f"begins at {rate}/s: p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms, the limit's {ack['p50_ms']:.2f} and {ack['p99_ms']:.2f}")
            runs.append(Result("upload", "parley-begin", conns=BEGIN_CONNS, rate=rate, sent=found["sent"], delivered=begun, per_s=begun / found["seconds"],
                               cpu_us_per_msg=cpu / begun * 1e6 if begun else None, **{p: found[p] for p in ("p50_ms", "p99_ms", "p999_ms")}))
    limit = ctx.emit(raw, main="p99_ms")
    result = ctx.emit(runs, limit, main="p99_ms")
    if ctx.quick:
        ctx.say(f"begins at {rate}/s: p99 {result.p99_ms:.2f} ms; at {RATE}/s it is to be {P99_MS}")
    else:
        ctx.goal(f"begins at {rate}/s: p99, ms", result.p99_ms, P99_MS)


def run(ctx):
    conns = ctx.args.conns[0] if ctx.args.conns else CONNS
    file = File(ctx.dir, PARTS_QUICK if ctx.quick else PARTS)
    settings = {"PARLEY_UPLOAD_MAX_PENDING": 1000}
    with contextlib.ExitStack() as ends:
        local = ends.enter_context(ctx.started(Parley(**settings)))
        begins(ctx, local, RATE_QUICK if ctx.quick else RATE)
        bucket = ends.enter_context(ctx.started(Parley(PARLEY_UPLOAD_STORE="s3")))
        dav = ends.enter_context(ctx.started(Dav(ctx.dir)))
        ways = {name: Way(name, system.stack, name, base) for name, system, base in (
            ("parley-local", local, None), ("parley-local-edge", local, local.stack.base_url), ("parley-s3", bucket, None))}
        for way in ways.values():
            ends.callback(way.own.close)
        transfers(ctx, file, [dav, ways["parley-local"], ways["parley-local-edge"]], conns)
        transfers(ctx, file, [RawS3(bucket.stack), ways["parley-s3"]], conns)
        for name in ("parley-local", "parley-s3"):
            peak = procs.peak_kb(ways[name].stack.pid("upload")) / 1024
            ctx.goal(f"{name}: memory of upload at its most, MB", peak, RSS_MB)
        for name in ("parley-local", "parley-s3"):
            ctx.emit([resume(ctx, ways[name], file)])


def chart(results):
    return ("Files in parts of 16 MiB", "MB a second", [(r.system, r.system, r.per_s) for r in results if r.per_s and r.rate is None])
