"""The tables of README.md and docs/operations.md, made of what bench/results/ has. `scripts/bench --docs` writes them; with --check it fails where they differ."""

import os

from .result import read
from .system import BENCH, ROOT

BEGIN, END = "<!-- made by scripts/bench --docs -->", "<!-- end of what scripts/bench --docs made -->"
DOCUMENTS = ("README.md", "docs/operations.md")
NODELAY = "latency-strategy2+strategy3+strategy3-nodelay"


class Figures:
    """The results, by name of their file; remembers which were asked for."""

    def __init__(self, folder=BENCH / "results"):
        self.folder, self.files = folder, {}

    def file(self, name):
        if name not in self.files:
            self.files[name] = read(self.folder / f"{name}.jsonl")
        return self.files[name]

    def get(self, name, system, **fields):
        """The one result of this system with these fields."""
        found = [r for r in self.file(name).results if r.system == system and all(getattr(r, k) == v for k, v in fields.items())]
        assert len(found) == 1, f"{name}.jsonl has {len(found)} results of {system} {fields}"
        return found[0]

    def counted(self, name, what):
        """The greatest of the counts whose name ends with this."""
        values = [check["value"] for check in self.file(name).checks if check["check"].endswith(what)]
        assert values, f"{name}.jsonl has no count '{what}'"
        return max(values)


def short(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def ms(*results):
    return " / ".join(short(v) for r in results for v in ((r.p50_ms, r.p99_ms) if len(results) == 1 else (r.p50_ms,))) + " ms"


def goal(text, held, found):
    return f"{text}: {'reached' if held else 'missed'} ({found})"


def latency(f, rate, link):
    parley, raw = f.get("latency", "parley", rate=rate), f.get("latency", "raw-ack+echo", rate=rate)
    peer, beside = (f.get("latency-strategy3", system, rate=rate) for system in ("strategy3", "parley"))
    said = ""
    if rate == 500:
        p99, times = parley.p99_ms / raw.p99_ms, peer.p99_ms / beside.p99_ms
        said = "; ".join((goal("p50 ≤ 1.5× the limit", parley.ratio <= 1.5, f"{parley.ratio:.2f}×, [what it waits for]({link('docs/decisions/0026-what-a-message-waits-for.md')})"),
                          goal("p99 ≤ 3×", p99 <= 3, f"{p99:.1f}×"), goal("p99 ≤ 1/10 of strategy 3", times >= 10, f"1/{times:.0f}")))
    return [f"{rate:,} msg/s, 2 clients: p50 / p99", ms(parley), ms(raw), ms(peer), said]


def throughput(f, link):
    parley, raw = f.get("throughput", "parley"), f.get("throughput", "raw-async-ack")
    why = "" if parley.ratio >= 0.4 else f", [why]({link('docs/decisions/0019-what-limits-throughput.md')})"
    return ["50 rooms of two, through Postgres, p99 ≤ 50 ms", f"{parley.per_s:,.0f} msg/s", f"{raw.per_s:,.0f} acks/s", "",
            goal("40 % of the limit", parley.ratio >= 0.4, f"{parley.ratio:.0%}".replace("%", " %")) + why]


def fanout(f, n, wanted):
    name = f"fanout-{n}-strategy3"
    parley, raw, peer = (f.get(name, system) for system in ("parley", "raw-send", "strategy3"))
    times = parley.per_s / peer.per_s
    return [f"one room of {n:,}, p99 ≤ 250 ms", f"{parley.per_s:,.0f} deliveries/s", f"{raw.per_s:,.0f}/s", f"{peer.per_s:,.0f}/s",
            goal(f"{wanted:,}/s and 5× strategy 3", parley.per_s >= wanted and times >= 5, f"{times:.0f}×")]


def connections(f):
    idle = [max(f.get("idle", f"parley-{kind}", conns=n).rss_kb_per_conn for kind in ("json", "proto")) for n in (1000, 5000, 10000)]
    storm, limit = f.get("storm", "parley"), f.get("storm", "raw-greet")
    rooms, plain = f.get("rooms", "parley"), f.get("rooms", "raw-send")
    return [["10,000 clients in 20,000 rooms of ten, sends and edits", f"{rooms.per_s:,.0f} deliveries/s", f"{plain.per_s:,.0f}/s", "", ""],
            ["an idle connection at 1,000 / 5,000 / 10,000", " / ".join(f"{kb:.1f}" for kb in idle) + " KB", "", "", goal("8 KB", max(idle) <= 8, f"{max(idle):.1f} KB")],
            ["10,000 cut at once have 50 missed messages each", f"{storm.p99_ms / 1000:.1f} s", f"{limit.p99_ms / 1000:.1f} s", "",
             goal("5 s", storm.p99_ms <= 5000, f"{storm.p99_ms / 1000:.1f} s")]]


def history(f):
    ingest, limit = f.get("ingest", "parley"), f.get("ingest", "raw unnest")
    deep, first = f.get("history", "parley deepest"), f.get("history", "parley first")
    raw = f.get("history", "raw deepest"), f.get("history", "raw first")
    times = deep.p50_ms / first.p50_ms
    return [["log into Postgres", f"{ingest.per_s:,.0f} rows/s", f"{limit.per_s:,.0f} rows/s", "", goal("20,000", ingest.per_s >= 20000, f"{ingest.per_s / 20000:.1f}×")],
            ["deepest / first page of 2,000,000 messages, p50", ms(deep, first), ms(*raw), "", goal("≤ 1.5×", times <= 1.5, f"{times:.2f}×")]]


def presence(f):
    share, slower = (f.counted("presence", what) for what in ("gateway's CPU that presence takes, median of pairs", "p99 of the median second with presence by that without, median of pairs"))
    whole, few = (f.counted("presence", what) for what in ("p99 of whole loads with presence by that without, median of pairs", "seconds until a storm is settled in which each watches few"))
    settled, size, typing = (f.counted("presence", what) for what in ("seconds until a storm is settled", "bytes of the service a user", "updates a second to the reader with most"))
    settled = max(settled, few)
    rest = f"{settled:.1f} s, {size:.0f} bytes, {typing:.2f}"
    return ["10,000 users who watch 50 each, 20 % of them come or leave a minute, at 5,000 msg/s", f"{share:.1f} % of the gateway's CPU, p99 of the median second × {slower:.2f} (of whole loads × {whole:.2f})", "", "",
            f"{goal('5 % (medians of pairs of runs)', share <= 5, f'{share:.1f} %')}; {goal('1.1×', slower <= 1.1, f'{slower:.2f}×')}; "
            + goal("all settled in 5 s after 10,000 came, 512 bytes a user, 1 update of typing a second", settled <= 5 and size <= 512 and typing <= 1, rest)]


def upload(f):
    local, s3, edge = (f.get("upload", f"parley-{where}") for where in ("local", "s3", "local-edge"))
    curl = f.get("upload", "raw-curl-local"), f.get("upload", "raw-curl-s3")
    memory, again = f.counted("upload", "memory of upload at its most, MB"), f.counted("upload", "killed: bytes that were sent again")
    begin, ack = f.get("upload", "parley-begin"), f.get("upload", "raw-ack")
    held = min(local.ratio, s3.ratio, edge.ratio) >= 0.8 and memory <= 32
    return [["1 GiB in parts of 16 MiB, local / S3", f"{local.per_s:,.0f} / {s3.per_s:,.0f} MB/s", f"{curl[0].per_s:,.0f} / {curl[1].per_s:,.0f} MB/s (curl)", "",
             goal("80 % of curl, 32 MB of memory, at most a part sent again after a kill", held and again <= 16 << 20,
                  f"{local.ratio * 100:.0f} %, {s3.ratio * 100:.0f} %, through the edge {edge.ratio * 100:.0f} %; {memory:.0f} MB; {again / 1e6:.1f} MB again")],
            ["an upload is begun, 500 a second, p99", f"{begin.p99_ms:.1f} ms", f"{ack.p99_ms:.2f} ms (an ack)", "", goal("5 ms", begin.p99_ms <= 5, f"{begin.p99_ms:.1f} ms")]]


def table(f, link):
    rows = [["", "Parley", "limit of the machine", "node ws + RabbitMQ", "goal"], ["---", "--:", "--:", "--:", "---"],
            latency(f, 500, link), latency(f, 5000, link), throughput(f, link), fanout(f, 1000, 400000), fanout(f, 10000, 250000),
            *connections(f), *history(f), presence(f), *upload(f)]
    return ["|" + "|".join(row) + "|" if row[0] == "---" else "| " + " | ".join(row) + " |" for row in rows]


def nodelay(f, link):
    slow, quick = f.get(NODELAY, "strategy3", rate=500), f.get(NODELAY, "strategy3-nodelay", rate=500)
    return (f"Most of the {slow.p99_ms:.0f} ms of node ws + RabbitMQ at 500 msg/s come from its client library, which does not set `TCP_NODELAY`; with it they are {quick.p99_ms:.1f} ms "
            f"([bench/peers]({link('bench/peers/README.md')})).")


def sources(f, link):
    """Which command each file is of, when, of which commit."""
    machines = {header["machine"] for header, *_ in f.files.values()}
    lines = [f"Machine: {'; '.join(sorted(machines))}. Commit: the last one that had changed what is measured.", "", "| results | command | date | commit |", "|---|---|---|---|"]
    for name in sorted(f.files):
        header = f.file(name).header
        lines.append(f"| [{name}]({link(f'bench/results/{name}.jsonl')}) | `{header['command']}` | {header['date']} | {header['commit']} |")
    return lines


def section(document, folder=BENCH / "results"):
    """What stands between the marks."""
    def link(path):
        return os.path.relpath(ROOT / path, (ROOT / document).parent)
    f = Figures(folder)
    lines = [*table(f, link), "", nodelay(f, link), "", *sources(f, link)]
    return "\n".join([BEGIN, *lines, END])


def written(document, text, folder=BENCH / "results"):
    """The document with its section as the results have it now."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{document}: '{BEGIN}' and '{END}' do not stand there"
    return before + section(document, folder) + after


def docs(check):
    """Writes the documents, or names those that are stale. Returns those that differed."""
    stale = []
    for document in DOCUMENTS:
        path = ROOT / document
        text = path.read_text()
        new = written(document, text)
        if new != text:
            stale.append(document)
            if not check:
                path.write_text(new)
    return stale
