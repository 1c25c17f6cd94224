#!/usr/bin/env python3
"""Writes into the chart's values.schema.json which settings `config` takes: those of docs/configuration.md (and of the edge) that are no secret and have no
value of the chart's own. So a misspelt one is refused, and so is one that would be set past its value for a part of those who need it.

usage: chart_schema.py CHECKOUT [CHART]"""

import json
import re
import sys
from pathlib import Path

SERVICES = ("gateway", "history", "presence", "upload")
# A name that all pods would share; and what setup.timeoutSeconds is for
REFUSED = {"PARLEY_GATEWAY_ID", "PARLEY_SETUP_TIMEOUT_S"}
# Of the edge: what the image itself is made with
OF_IMAGE = {"PARLEY_EDGE_ROOT", "PARLEY_EDGE_TEMP"}


def tables(page):
    """service -> {name: what it takes}"""
    found, service = {}, None
    for line in page.splitlines():
        if line.startswith("## "):
            service = line[3:].strip()
        elif (row := re.match(r"\| `(PARLEY_\w+)` \| ([^|]*) \|", line)) and service:
            found.setdefault(service, {})[row[1]] = row[2]
    return found


def settable(checkout, chart):
    """service -> names for its `config`"""
    own = set(re.findall(r"PARLEY_\w+", (chart / "templates/_config.tpl").read_text()))
    known = tables((checkout / "docs/configuration.md").read_text())
    names = {s: sorted(name for name, takes in known[s].items() if not takes.startswith("secret") and name not in own | REFUSED) for s in SERVICES}
    edge = set(re.findall(r"PARLEY_EDGE_[A-Z_]+", (checkout / "deploy/edge/nginx.conf.in").read_text()))
    names["web"] = sorted(edge - own - OF_IMAGE - {f"PARLEY_EDGE_{s.upper()}" for s in SERVICES})
    return names


def main(checkout, chart):
    path = chart / "values.schema.json"
    schema = json.loads(path.read_text())
    names = settable(checkout, chart)
    schema["properties"]["config"]["propertyNames"] = {"enum": sorted(set().union(*(names[s] for s in SERVICES)))}
    for service, own in names.items():
        schema["properties"][service]["properties"]["config"]["propertyNames"] = {"enum": own}
    path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    main(root, Path(sys.argv[2]) if len(sys.argv) > 2 else root / "deploy/k8s/parley")
