"""Bars as SVG. Plain text: forty lines are less than a plotting library with its dependencies in everybody's test environment."""

from xml.sax.saxutils import escape

COLOURS = {"raw": "#9aa5b1", "parley": "#2563eb", "peer": "#d97706"}
WIDTH, LEFT, BAR, GAP, TOP = 760, 250, 18, 6, 56


def _kind(system):
    return "parley" if system.startswith("parley") else "raw" if system.startswith("raw") else "peer"


def bars(title, unit, rows, note=""):
    """rows: (label, system, value); one bar each, scaled to the largest. Returns the text of an SVG."""
    largest = max((value for *_, value in rows), default=0) or 1
    height = TOP + len(rows) * (BAR + GAP) + 28
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
           f'<text x="12" y="42" fill="#52606d">{escape(unit)}</text>']
    for i, (label, system, value) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        width = max(1, (WIDTH - LEFT - 110) * value / largest)
        out += [f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[_kind(system)]}"/>',
                f'<text x="{LEFT + width + 6:.1f}" y="{y + 13}">{value:,.3g}</text>' if value < 1000 else
                f'<text x="{LEFT + width + 6:.1f}" y="{y + 13}">{value:,.0f}</text>']
    out += [f'<text x="12" y="{height - 10}" fill="#52606d" font-size="11">{escape(note)}</text>', "</svg>"]
    return "\n".join(out) + "\n"
