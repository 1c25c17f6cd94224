"""What a fault excuses is what its loss leaves behind, in the checker's own words; whatever else is found of the same message passes through."""

from types import SimpleNamespace

import pytest
from catalogue import REGISTRY
from checker.invariants import Violation, check
from checker.story import C, Story

DELETED, KEPT, REACH = 8, 6, 6


@pytest.fixture
def story():
    """ada's message 8 was deleted, and nobody has it any more."""
    s = Story()
    del s.events[7], s.pages[2]
    s.events[7]["prev"] = 7
    return s


def run_of(story):
    return SimpleNamespace(record=story.record, load=SimpleNamespace(acked=lambda: story.record.of("ack"), uploads=None))


def worse(seq):
    """Nothing of this may ever be excused."""
    place, name = f"{C}/{seq}", f"{C}/{seq} (message m{seq} of ada)"
    return [Violation(*v) for v in (
        ("Z", f"eve got {name} (live), and was removed at 4"),
        ("Z", f"mallory was acked {place}, sent after his removal at 4 was answered"),
        ("U", f"bob got {place} twice live on connection 1"),
        ("U", f"history has {name} twice: also as {C}/99"),
        ("B", f"gateway files was 3 and is 99, above 11 at {place}"),
        ("V", f"took 99.0 s to recover; the bound is 5 s, for {place}"),
        ("P", f"bob has {name}: its content is not what was sent"),
        ("P", f"the page still has the content of {place}, which was deleted"),
        ("O", f"bob got {place} live after 9 on connection 1"),
        ("L", f"bob never saw {name} (acked, 1 in all)"),
        ("I", f"m{seq} was acked as {seq} ({seq}) and then as 99 (99) to ada"),
        # the right words under another letter
        ("Z", f"acked to ada as {place} (m{seq}), and not in history"),
        ("U", f"bob has {name}, and history has nothing there"))]


def test_an_empty_disk_forgets_who_sent_what_was_deleted(story):
    fault, run = REGISTRY["postgres-empty-disk"](), run_of(story)
    found = story.found()
    assert {v.invariant for v in found} == {"L", "O", "I"}
    assert [v for v in found if not fault.excuses(run, v)] == []
    assert not any(fault.excuses(run, v) for v in worse(DELETED) + worse(KEPT))


def test_an_empty_disk_forgets_nothing_else(story):
    fault, run = REGISTRY["postgres-empty-disk"](), run_of(story)
    assert not any(fault.excuses(run, v._replace(what=v.what.replace(f"{C}/{DELETED}", f"{C}/{KEPT}"))) for v in story.found())


def test_a_trimmed_log_excuses_what_lies_below_its_beginning(story):
    fault, run = REGISTRY["postgres-empty-trimmed"](), run_of(story)
    fault.reach, fault.first = REACH, {C: 6}
    below = [("O", f"history's chain of {C} breaks at 6: 0 is named as before it, and 5 is"),
             ("L", f"{C}/5 (message m5 of ada) is an event, and on no page of messages"),
             ("P", f"history's events still have the content of {C}/5, which was deleted"),
             ("I", "ada was answered not_found for m5, which had been acked"),
             ("V", f"the edit m5 of ada in {C} was given up without an answer")]
    above = [(letter, what.replace("at 6", "at 7").replace("5", "6")) for letter, what in below]
    assert [v for v in below if not fault.excuses(run, Violation(*v))] == []
    assert [v for v in above if fault.excuses(run, Violation(*v))] == []
    assert not any(fault.excuses(run, v) for v in worse(DELETED) + worse(KEPT) + worse(5))


def test_the_words_are_those_of_the_checker():
    """What lies below the beginning has no pages: said as the excuse expects it."""
    s = Story()
    del s.pages[0]
    s.record.add("ada", 1, "unanswered", id="m5", channel=C, op="edit")
    s.record.add("ada", 1, "refused", id="m5", channel=C, code="not_found")
    s.events[7] = {**s.events[7], "message": {**s.applied["ada"][8]["message"]}}
    s.events[7].pop("removed")
    fault, run = REGISTRY["postgres-empty-trimmed"](), run_of(s)
    fault.reach, fault.first = 9, {C: 9}
    found = [v for v in s.found() if fault.excuses(run, v)]
    assert sorted(v.invariant for v in found) == ["I", "L", "P", "V"], found


def test_a_lost_store_forgets_files_alone(story):
    fault, run = REGISTRY["nats-store-lost"](), run_of(story)
    fault.old = {"f"}
    for id in ("f", "g"):
        story.record.add("ada", 0, "file", channel=C, id=id, status=404, there=True, same=None)
    found = [v for v in check(story.record, {C: {"events": story.events, "messages": story.pages}}) if v.what.startswith("the file ")]
    assert [fault.excuses(run, v) for v in found] == [True, False]
    others = [Violation(letter, found[0].what) for letter in "PUOIZVB"] + [found[0]._replace(what=found[0].what.replace("404", "another content"))]
    assert not any(fault.excuses(run, v) for v in worse(DELETED) + others)
