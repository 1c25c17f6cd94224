"""Results as a table for people, in Markdown."""

from .result import FIELDS

HEADS = {"rss_kb_per_conn": "KB/conn", "cpu_us_per_msg": "CPU µs/msg", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "p999_ms": "p99.9 ms", "per_s": "per s",
         "ratio": "of the limit"}


def _cell(name, value):
    if value is None:
        return ""
    if name == "ratio":
        return f"{value:.2f}×"
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def markdown(results):
    """Columns in which nobody measured anything are left out."""
    names = [n for n in FIELDS if n != "scenario" and any(getattr(r, n) is not None for r in results)]
    rows = [[HEADS.get(n, n) for n in names]] + [[_cell(n, getattr(r, n)) for n in names] for r in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    lines = ["| " + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))) + " |" for row in rows]
    lines.insert(1, "|" + "|".join(("-" * (w + 2)) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    return "\n".join(lines)
