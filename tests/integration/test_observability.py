"""What an operator sees: metrics by Prometheus' rules, a dashboard without an empty query, alerts that a runbook knows."""

import asyncio
import json
import re
import subprocess
import uuid

import httpx
import pytest
from support.client import Client
from support.prometheus import RULES, Prometheus
from support.stack import ROOT, SERVICES, wait_until
from support.uploads import Uploader

DASHBOARD = ROOT / "deploy" / "observability" / "dashboard.json"
OPERATIONS = ROOT / "docs" / "operations.md"


def dashboard_queries():
    """(title of the panel, query) of every panel, with the variables as Grafana would fill them in"""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*").replace("$namespace", ".*")


def alerts():
    """name -> text of each alert, as it stands in the file"""
    parts = re.split(r"^ +- alert: (\w+)$", RULES.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_follow_the_conventions(stack, service):
    text = httpx.get(stack.admin_url(service) + "/metrics").text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    assert f'parley_build_info{{service="{service}",' in text


def test_rules_are_valid():
    checked = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = subprocess.run(["promtool", "test", "rules", "alerts_test.yaml", "alerts_days_test.yaml"], cwd=RULES.parent, capture_output=True, text=True, timeout=30)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_an_entry_in_the_runbook_and_the_other_way_round():
    entries = re.findall(r"^### (Parley\w+)$", OPERATIONS.read_text(), flags=re.MULTILINE)
    assert sorted(entries) == sorted(alerts())
    for name, text in alerts().items():
        assert f"runbook_url: docs/operations.md#{name.lower()}\n" in text, name


async def load(stack, stop):
    """Everything that the panels show: chat, a retry, resumes, REST, an upload, people who come and go."""
    channel = stack.channel("ada", members=["bob"])
    with Uploader(stack, "ada") as uploader, stack.rest("ada") as rest:
        while not stop.is_set():
            # somebody new each time: who comes back within the grace of presence is no change
            async with Client(stack, "ada") as ada, Client(stack, "bob") as bob, Client(stack, f"guest-{uuid.uuid4().hex[:8]}"):
                for _ in range(5):
                    message = str(uuid.uuid4())
                    await ada.send(channel, "hello", id=message)
                    ack = await ada.send(channel, "hello", id=message)  # again: a duplicate
                    await bob.wait_seq(channel, ack["seq"])
            await asyncio.to_thread(uploader.uploaded, channel, b"x" * 100)
            assert rest.get(f"/api/channels/{channel}/messages").status_code == 200


async def test_no_query_of_the_dashboard_is_empty(stack):
    with Prometheus(stack) as prometheus:
        # a rate needs the counter's value before
        await asyncio.to_thread(wait_until, lambda: prometheus.targets_up() == len(SERVICES), 30, "all services are scraped")
        stop = asyncio.Event()
        loading = asyncio.create_task(load(stack, stop))
        queries = list(dashboard_queries())
        assert len(queries) > 50
        empty = []

        def all_answered():
            if loading.done():
                return True
            empty[:] = [(title, query) for title, query in queries if not set(prometheus.query(query)) - {"NaN"}]
            return not empty
        try:
            await asyncio.to_thread(wait_until, all_answered, 60, "every query has a value", 1)
        except AssertionError:
            raise AssertionError(f"without a value: {empty}") from None
        finally:
            stop.set()
            await loading
        assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
        assert not [rule["name"] for rule in prometheus.rules() if rule["state"] == "firing"]


def test_every_query_of_the_dashboard_is_of_the_installation_that_was_chosen():
    """Two of them under one Prometheus are two; where nobody gives a namespace, "All" is all"""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            for selector in re.findall(r"\b(?:parley|process)_\w+({[^}]*})?", target["expr"]):
                assert 'namespace=~"$namespace"' in selector and 'instance=~"$instance"' in selector, (panel["title"], target["expr"])


def test_no_query_has_an_invented_name(stack):
    there = set()
    for service in SERVICES:
        there |= {line.split()[2] for line in httpx.get(stack.admin_url(service) + "/metrics").text.splitlines() if line.startswith("# TYPE")}
    used = set(re.findall(r"\b(?:parley|process)_\w+", " ".join(query for _, query in dashboard_queries()) + RULES.read_text()))
    assert not {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} - there
