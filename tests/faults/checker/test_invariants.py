"""Each invariant on records written by hand: silent where all is well, and loud for each thing that it is there to find."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .clients import frame_of
from .doors import REST, USERS_DOOR
from .invariants import Violation, check_bound, check_levels
from .levels import RSS_MB, RSS_SHARE, gauges, of_processes, slack
from .story import ALSO, EXPECTED, T0, C, Story, joined


def test_a_good_story_has_no_violation():
    assert Story().found() == []


def test_what_is_as_it_should_be_is_no_violation():
    """Files that are there and such as never came to be, a channel that nobody asks about, the removed with a view of another, and a replay behind an edit."""
    s = Story()
    s.record.add("ada", 0, "file", channel=C, id="f", status=302, there=True, same=True)
    s.record.add("ada", 0, "file", channel=C, id="g", status=404, there=False, same=None)
    s.record.add("ada", 0, "member", channel="elsewhere", user_id="bob", op="add", status=201)
    s.record.add("eve", 1, "view", channel="elsewhere", start=0, cursor=0, whole=True, applied={})
    edited = copy.deepcopy(s.events[5])
    edited["message"]["content"] = "hello!"
    s.record.add("bob", 1, "replay", channel=C, start=5, through=6, events=[edited])
    s.events[7]["createdAt"] = s.pages[2]["createdAt"] = "2026-01-01T00:00:01.000Z"  # of what was deleted nobody says when it was
    assert s.found() == []


def test_the_same_read_back_from_a_file(tmp_path):
    story = Story()
    story.found()
    story.record.save(tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert [(e["client"], e["kind"]) for e in lines] == [(e.client, e.kind) for e in story.record.entries]


@pytest.mark.parametrize("deed", EXPECTED, ids=lambda d: d.__name__)
def test_each_deed_is_found(deed):
    story = Story()
    deed(story)
    letters = story.letters()
    assert EXPECTED[deed] in letters and letters <= {EXPECTED[deed], ALSO.get(deed, "")}, letters


def test_who_comes_back_may_not_have_seen_what_was_said_meanwhile():
    """eve is added again: what she got before that was a leak, what she gets then is not."""
    def story(early):
        s = Story()
        if early:
            s.record.add("eve", 1, "live", event=copy.deepcopy(s.events[4]))
        s.record.add("ada", 0, "member", channel=C, user_id="eve", op="add", status=0)
        s.events.append({**joined(10, 9, "eve"), "id": "j10"})
        for user in ("ada", "bob"):
            s.applied[user][10] = s.events[-1]
        s.live["eve"] += copy.deepcopy(s.events[4:])
        for event in s.live.pop("eve"):
            if not early or event["seq"] != 5:
                s.record.add("eve", 2, "live", event=event)
        return s.letters()
    assert story(False) == set()
    assert story(True) == {"Z"}


@pytest.mark.parametrize("visibility, given, letters", [("joined", False, set()), ("joined", True, {"Z"}), ("all", True, set()), ("all", False, {"L"})])
def test_an_absence_is_hidden_where_the_channel_says_so(visibility, given, letters):
    """bob leaves at 10, 11 is said, bob is back at 12 and gets a replay."""
    s = Story()
    s.record.add("ada", 0, "member", channel=C, user_id="ada", op="create", status=0, visibility=visibility)
    s.record.add("ada", 0, "member", channel=C, user_id="bob", op="remove", status=204)
    s.events.append({"channelId": C, "seq": 10, "prev": 9, "id": "l10", "actorId": "ada", "createdAt": T0, "memberLeft": {"userId": "bob"}})
    s.mutate("send", 11, "m11", "without bob")
    s.pages.append(s.page(11, "without bob"))
    s.record.add("ada", 0, "member", channel=C, user_id="bob", op="add", status=201)
    s.events.append({**joined(12, 11, "bob"), "id": "j12"})
    replay = [s.events[-3], *([s.events[-2]] if given else []), s.events[-1]]
    s.record.add("bob", 1, "replay", channel=C, start=9, through=12, events=replay)
    s.applied["bob"].update({e["seq"]: e for e in replay})
    s.applied["ada"].update({e["seq"]: e for e in s.events[-3:]})
    assert s.letters() == letters


def test_the_removed_must_not_be_acked_what_he_sends_then():
    story = Story()
    story.record.add("eve", 1, "intend", id="mE", channel=C, op="send", content="still here", target=0)
    story.record.add("eve", 1, "sent", id="mE", channel=C, retry=False)
    assert story.letters() == set()
    story.record.add("eve", 1, "ack", id="mE", asked="mE", channel=C, seq=5, createdAt=T0, duplicate=False)
    assert "Z" in story.letters()


def test_the_removed_may_use_an_id_again_where_he_is_a_member():
    story = Story()
    for channel in (C, "elsewhere"):
        story.record.add("eve", 1, "sent", id="mE", channel=channel, retry=False)
    story.record.add("eve", 1, "ack", id="mE", asked="mE", channel="elsewhere", seq=20, createdAt=T0, duplicate=False)
    assert "Z" not in story.letters()


def test_a_client_that_never_got_whole():
    story = Story()
    story.record.add("bob", 1, "view", channel=C, start=3, cursor=5, whole=False, applied=story.applied["bob"])
    assert "L" in story.letters()


def test_a_rewind_begins_the_order_anew():
    story = Story()
    for event in story.live.pop("bob"):
        story.record.add("bob", 1, "live", event=event)
    story.record.add("bob", 1, "rewind", channel=C, head=7)
    story.record.add("bob", 1, "live", event=story.applied["bob"][8])
    assert story.found() == []


def test_what_a_member_missed_before_he_came_is_not_owed():
    story = Story()
    story.events.insert(0, {**joined(0, 0, "ada"), "seq": 0.5})
    story.events[1]["prev"] = 0.5
    assert story.found() == []


def test_bound():
    assert check_bound(4.9, 5) == []
    assert check_bound(5.1, 5) == [Violation("V", "took 5.1 s to recover; the bound is 5 s")]
    assert check_bound(None, 5)[0].what.startswith("did not recover")


def test_levels():
    before = {"gateway rss MB": 20, "gateway files": 30, "gateways parley_x_sessions": 11, "gateways parley_gateway_pending": 3}
    limit = int(20 * RSS_SHARE + RSS_MB)
    assert check_levels(before, {"gateway rss MB": limit, "gateway files": 38, "gateways parley_x_sessions": 11, "gateways parley_gateway_pending": 0}, slack) == []
    after = {"gateway rss MB": limit + 1, "gateway files": 39, "gateways parley_x_sessions": 12, "gateways parley_gateway_pending": 1}
    assert [v.invariant for v in check_levels(before, after, slack)] == ["B", "B", "B", "B"]


def test_a_level_that_comes_or_vanishes_is_one_too():
    assert check_levels({}, {"upload parley_x_reads": 1}, slack)[0].what.startswith("upload parley_x_reads was 0 and is 1")
    assert check_levels({}, {"upload parley_x_reads": 0}, slack) == []
    assert "nobody tells it" in check_levels({"upload parley_x_reads": 0}, {}, slack)[0].what


def test_gauges_are_summed_over_their_labels():
    text = ("# TYPE parley_x_queued gauge\nparley_x_queued{a=\"1\"} 2\nparley_x_queued{a=\"2\"} 3\n# TYPE parley_y_queued counter\nparley_y_queued 9\n"
            "# TYPE parley_gateway_users gauge\nparley_gateway_users 4\n# TYPE parley_gateway_sessions gauge\nparley_gateway_sessions 7\n")
    assert gauges("gateway", text) == {"gateway parley_x_queued": 5, "gateway parley_gateway_sessions": 7}  # of users a gateway keeps some who left
    assert gauges("upload", "# TYPE parley_upload_pending gauge\nparley_upload_pending 9\n") == {}  # uploads that were begun may stay


def test_a_family_of_processes_counts_what_each_has_for_itself():
    child = subprocess.Popen([sys.executable, "-c", "x = bytearray(b'x' * (40 << 20)); print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        levels = of_processes("family", [child.pid, child.pid, 2 ** 22 + 1])
        assert levels["family processes"] == 2 and 80 <= levels["family own MB"] < 160, levels
    finally:
        child.communicate(b"\n")


def test_every_door_with_a_channel_is_tried():
    paths = yaml.safe_load((Path(__file__).parents[3] / "docs/openapi.yaml").read_text())["paths"]
    documented = {(method.upper(), path.removeprefix("/api").replace("/files/{id}", "/files/{file}")) for path, item in paths.items() for method in item
                  if method in ("get", "put", "post", "patch", "delete") and path.startswith(("/api/channels/{id}", "/api/files/{id}"))}
    assert documented | {("POST", "/uploads"), ("GET", USERS_DOOR)} == {(method, path) for method, path, _ in REST}


def test_frames_name_what_is_meant():
    assert frame_of("send", C, "i", "x", 0)["message"] == {"id": "i", "content": "x"}
    assert frame_of("edit", C, "i", "x", 7) == {"type": "edit", "channelId": C, "id": "i", "targetSeq": 7, "content": "x"}
    assert "content" not in frame_of("delete", C, "i", "", 7)
