"""How late the others are said to be while some clients do harm."""

from families.clients import latency

from .record import Record


def told(entries):
    record = Record()
    for at, kind, id in entries:
        entry = record.add("ada", 1, kind, channel="c", **({"asked": id} if kind == "ack" else {"id": id}))
        entry.at = at
    return record


def test_what_has_no_answer_is_as_late_as_it_has_waited():
    assert latency(told([(1, "sent", "a"), (1.25, "ack", "a")]), now=9) == (250, 1)
    assert latency(told([(1, "sent", "a"), (1.25, "ack", "a"), (2, "sent", "b")]), now=9) == (7000, 1)
    assert latency(told([(2, "sent", str(i)) for i in range(600)]), now=9) == (7000, 0)


def test_a_retry_began_when_it_was_first_sent_and_a_refusal_is_an_answer():
    assert latency(told([(1, "sent", "a"), (3, "sent", "a"), (3.5, "ack", "a")]), now=9) == (2500, 1)
    assert latency(told([(1, "sent", "a"), (1.5, "refused", "a")]), now=9) == (500, 1)


def test_what_was_sent_before_counts_for_nothing():
    assert latency(told([(1, "sent", "a"), (5, "sent", "b"), (6, "ack", "a"), (6, "ack", "b")]), since=4, now=9) == (1000, 1)
    assert latency(told([])) == (0, 0)
