"""Which process is said to grow in a soak."""

from .soak import LONG, Soak


def grown(part, levels, kind="rss MB"):
    soak = Soak()
    for level in levels:
        soak.add("stack", {part: 7}, {f"{part} {kind}": level})
    return list(soak.grown())


def test_what_gains_a_little_each_run_is_found():
    assert grown("gateway", range(12, 12 + 20)) == ["gateway (7) had 12 MB after its first run and 31 MB after 20"]
    assert grown("postgres", [30, 40, 50, 60], "own MB") != []


def test_what_stays_is_not():
    assert grown("gateway", [12, 17, 17, 16]) == []
    assert grown("nats-server", [22, 60, 30, 44]) == []
    assert grown("gateway", [12, 50, 50, 13]) == []  # it came back


def test_a_process_that_was_killed_begins_anew_and_a_short_life_shows_nothing():
    soak = Soak()
    for pid, levels in ((7, range(12, 12 + LONG)), (8, range(20, 20 + LONG))):
        for level in levels:
            soak.add("stack", {"gateway": pid}, {"gateway rss MB": level})
    assert list(soak.grown()) == [] and len(soak.long_lives()) == 2
    assert grown("gateway", [12, 90, 90]) == []
