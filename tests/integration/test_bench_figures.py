"""The tables of README.md and docs/operations.md are what bench/results has, and a run takes the place of no other one's results."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest
from support.stack import ROOT

sys.path += [str(ROOT / "bench")]

from harness import figures  # noqa: E402
from harness.context import RESULTS, Context  # noqa: E402


@pytest.fixture
def results(tmp_path):
    return shutil.copytree(RESULTS, tmp_path / "results")


def change(path, change_entry):
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change_entry(entry)) + "\n" for entry in entries))


@pytest.mark.parametrize("document", figures.DOCUMENTS)
def test_the_documents_show_what_was_measured(document, results):
    text = (ROOT / document).read_text()
    assert figures.written(document, text, results) == text, "scripts/bench --docs writes them"


@pytest.mark.parametrize("name, field, shown", [("throughput", "per_s", "12,345"), ("latency-strategy3", "p99_ms", "12,345"), ("presence", "value", "12345.0 %")])
def test_another_figure_is_another_table(results, name, field, shown):
    change(results / f"{name}.jsonl", lambda entry: {**entry, field: 12345} if field in entry else entry)
    text = (ROOT / "README.md").read_text()
    assert shown in figures.section("README.md", results) and figures.written("README.md", text, results) != text


def test_a_goal_that_is_missed_says_so(results):
    assert "5 s: reached" in figures.section("README.md", results)
    change(results / "storm.jsonl", lambda entry: {**entry, "p99_ms": 5100} if entry.get("system") == "parley" else entry)
    assert "5 s: missed (5.1 s)" in figures.section("README.md", results)


def test_a_result_or_a_mark_that_is_not_there_is_named(results):
    with pytest.raises(AssertionError, match="README.md"):
        figures.written("README.md", "no marks", results)
    change(results / "storm.jsonl", lambda entry: {**entry, "system": "another"} if "system" in entry else entry)
    with pytest.raises(AssertionError, match="storm.jsonl has 0 results of parley"):
        figures.section("README.md", results)


@pytest.mark.parametrize("conns, systems, given, name", [
    (None, ["parley"], None, "fanout"), ([1000], ["parley"], None, "fanout-1000"), ([1000], ["parley", "strategy3"], None, "fanout-1000-strategy3"),
    (None, ["parley", "strategy2", "strategy3"], None, "fanout-strategy2+strategy3"), ([1000], ["parley"], "today", "today")])
def test_a_run_with_other_systems_has_files_of_its_own(conns, systems, given, name):
    context = Context("fanout", SimpleNamespace(quick=False, repeat=3, conns=conns, name=given), dict.fromkeys(systems))
    try:
        assert context.name() == name
    finally:
        context.close()
