"""Each invariant on records written by hand: silent where all is well, and loud for each thing that it is there to find."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from .clients import frame_of
from .doors import REST, USERS_DOOR
from .invariants import Violation, check, check_bound, check_levels
from .levels import queues, slack
from .record import Record

C, T0 = "c", "2026-01-01T00:00:00.000Z"


def message(seq, prev, id, user, content):
    return {"channelId": C, "seq": seq, "prev": prev, "id": id, "actorId": user, "createdAt": T0,
            "message": {"id": id, "channelId": C, "senderId": user, "content": content, "seq": seq, "deleted": False}}


def joined(seq, prev, user):
    return {"channelId": C, "seq": seq, "prev": prev, "id": f"j{seq}", "actorId": "ada", "createdAt": T0, "memberJoined": {"userId": user}}


class Story:
    """ada and bob are members, eve was removed at 4, mallory never was one. ada sends 5 and 6 (edited by 7) and 8 (deleted by 9)."""

    def __init__(self):
        self.record = Record()
        for user in ("ada", "bob", "eve"):
            self.record.add("ada", 0, "member", channel=C, user_id=user, op="add", status=201)
        self.record.add("ada", 0, "member", channel=C, user_id="eve", op="remove", status=204)
        self.events = [joined(1, 0, "ada"), joined(2, 1, "bob"), joined(3, 2, "eve"),
                       {"channelId": C, "seq": 4, "prev": 3, "id": "l", "actorId": "ada", "createdAt": T0, "memberLeft": {"userId": "eve"}}]
        self.mutate("send", 5, "m5", "hi")
        self.mutate("send", 6, "m6", "hello")
        self.mutate("edit", 7, "e7", "hello!", 6)
        self.mutate("send", 8, "m8", "oops")
        self.mutate("delete", 9, "d9", "", 8)
        seen = copy.deepcopy(self.events)
        self.events[7] = {k: v for k, v in self.events[7].items() if k != "message"} | {"removed": {"reason": "deleted"}}
        self.pages = [self.page(5, "hi"), self.page(6, "hello!"), {**self.page(8, ""), "deleted": True}]
        self.applied = {user: {e["seq"]: copy.deepcopy(e) for e in seen if e["seq"] > 3} for user in ("ada", "bob")}
        self.live = {user: copy.deepcopy(seen[3:]) for user in ("ada", "bob")}
        self.live["eve"] = copy.deepcopy(seen[3:4])

    def page(self, seq, content):
        return {"seq": seq, "content": content, "deleted": False}

    def mutate(self, op, seq, id, content, target=0):
        self.record.add("ada", 1, "intend", id=id, channel=C, op=op, content=content, target=target)
        self.record.add("ada", 1, "ack", id=id, asked=id, channel=C, seq=seq, createdAt=T0, duplicate=False)
        event = message(seq, seq - 1, id, "ada", content)
        if op != "send":
            del event["message"]
            body = {"targetSeq": target, "targetId": f"m{target}"}
            event |= {"messageEdited": {**body, "content": content}} if op == "edit" else {"messageDeleted": body}
        self.events.append(event)

    def found(self):
        for user, events in self.live.items():
            for event in events:
                self.record.add(user, 1, "live", event=event)
        for user, applied in self.applied.items():
            self.record.add(user, 1, "view", channel=C, start=3, cursor=max(applied), whole=True, applied=applied)
        return check(self.record, {C: {"events": self.events, "messages": self.pages}})

    def letters(self):
        return {v.invariant for v in self.found()}


def test_a_good_story_has_no_violation():
    assert Story().found() == []


def test_the_same_read_back_from_a_file(tmp_path):
    story = Story()
    story.found()
    story.record.save(tmp_path / "r")
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert [(e["client"], e["kind"]) for e in lines] == [(e.client, e.kind) for e in story.record.entries]


def lose_in_history(s):
    del s.events[4], s.pages[0]
    s.events[4]["prev"] = 4
    for view in (s.applied, ):
        for applied in view.values():
            del applied[5]
    for events in s.live.values():
        events[:] = [e for e in events if e["seq"] != 5]


def ack_what_was_never_stored(s):
    s.record.add("ada", 1, "intend", id="x", channel=C, op="send", content="hi", target=0)
    s.record.add("ada", 1, "ack", id="x", asked="x", channel=C, seq=6, createdAt=T0, duplicate=False)


def lose_a_file(s):
    s.record.add("ada", 0, "file", channel=C, id="f", status=404, there=True, same=None)


def change_a_file(s):
    s.record.add("ada", 0, "file", channel=C, id="f", status=302, there=True, same=False)


def show_half_a_file(s):
    s.record.add("ada", 0, "file", channel=C, id="f", status=302, there=False, same=None)


def drop_an_attachment(s):
    s.record.of("intend")[0].data["attachments"] = {"f": "descriptor"}


def lose_at_a_client(s):
    del s.applied["bob"][6]


def lose_what_was_not_acked_at_a_client(s):
    s.record.entries = [e for e in s.record.entries if e.kind != "ack"]
    del s.applied["bob"][6]


def lose_on_pages(s):
    del s.pages[0]


def reject_what_was_acked(s):
    s.events[4] = {k: v for k, v in s.events[4].items() if k != "message"} | {"removed": {"reason": "rejected"}}
    del s.pages[0]


def never_answer(s):
    s.record.add("ada", 1, "unanswered", id="x", channel=C, op="send")


def invent(s):
    s.live["bob"].append(message(10, 9, "x", "ada", "never said"))


def invent_for_another(s):
    s.live["bob"][1]["actorId"] = "bob"


def change_content_live(s):
    s.live["bob"][1]["message"]["content"] = "hi?"


def change_content_in_history(s):
    s.events[4]["message"]["content"] = "hi?"


def change_content_in_a_replay(s):
    event = copy.deepcopy(s.events[4])
    event["message"]["content"] = "hi?"
    s.record.add("bob", 1, "replay", channel=C, start=4, through=5, events=[event])


def forget_an_edit(s):
    s.pages[1]["content"] = "hello"


def keep_the_deleted(s):
    s.pages[2] = s.page(8, "oops")


def edit_another(s):
    s.events[6]["messageEdited"]["targetSeq"] = 5
    s.pages[0]["content"], s.pages[1]["content"] = "hello!", "hello"


def delete_unasked(s):
    s.events[4] = {k: v for k, v in s.events[4].items() if k != "message"} | {"removed": {"reason": "deleted"}}
    s.pages[0] = {**s.page(5, ""), "deleted": True}


def store_twice(s):
    s.events.append(message(10, 9, "m5", "ada", "hi"))
    s.pages.append(s.page(10, "hi"))
    for applied in s.applied.values():
        applied[10] = s.events[-1]


def deliver_twice(s):
    s.live["bob"].insert(2, s.live["bob"][1])


def swap_live(s):
    s.live["bob"][1:3] = s.live["bob"][2:0:-1]


def find_a_hole(s):
    s.record.add("bob", 1, "break", channel=C, seq=7, prev=6, cursor=5)


def break_the_chain_of_history(s):
    s.events[5]["prev"] = 4


def reorder_history(s):
    s.events[4], s.events[5] = s.events[5], s.events[4]


def descend_in_a_replay(s):
    s.record.add("bob", 1, "replay", channel=C, start=4, through=6, events=[s.events[5], s.events[4]])


def have_another_order(s):
    s.applied["bob"][5], s.applied["bob"][6] = {**s.applied["bob"][6], "seq": 5}, {**s.applied["bob"][5], "seq": 6}


def ack_twice_differently(s):
    s.record.add("ada", 2, "ack", id="m5", asked="m5", channel=C, seq=6, createdAt=T0, duplicate=True)


def ack_at_another_time(s):
    s.record.add("ada", 2, "ack", id="m5", asked="m5", channel=C, seq=5, createdAt="2026-01-01T00:00:01.000Z", duplicate=True)


def ack_for_another(s):
    s.record.add("ada", 2, "ack", id="m6", asked="m5", channel=C, seq=6, createdAt=T0, duplicate=True)


def conflict(s):
    s.record.add("ada", 2, "refused", id="m5", channel=C, code="id_conflict")


def refuse_what_was_acked(s):
    s.record.add("ada", 2, "refused", id="m5", channel=C, code="not_found")


def deliver_to_the_removed(s):
    s.live["eve"].append(copy.deepcopy(s.live["bob"][1]))


def replay_to_a_stranger(s):
    s.record.add("mallory", 1, "replay", channel=C, start=4, through=5, events=[copy.deepcopy(s.events[4])])


def tell_a_stranger(s):
    s.record.add("mallory", 1, "state", channel=C, epoch=1, head=9, source="ready")


def leak(s):
    s.record.add("mallory", 1, "leak", channel=C, where="error", text="secret of c")


def open_a_door(s):
    s.record.add("mallory", 1, "probe", channel=C, door="GET /events", answer="200", granted=True, leaked=False)


def leak_at_a_door(s):
    s.record.add("mallory", 1, "probe", channel=C, door="GET /events", answer="403", granted=False, leaked=True)


def answer_nothing_at_a_door(s):
    s.record.add("mallory", 1, "silent", channel=C, door="GET /events")


def tell_a_stranger_by_a_gap(s):
    s.record.add("mallory", 1, "gap", channel=C, start=0, head=9, reason="too_long")


def tell_the_removed(s):
    s.record.add("eve", 2, "state", channel=C, epoch=1, head=9, source="ready")


def change_the_time_at_a_client(s):
    s.applied["bob"][5]["createdAt"] = "2026-01-01T00:00:01.000Z"


def change_the_time_of_acks(s):
    for ack in s.record.of("ack"):
        ack.data["createdAt"] = "2026-01-01T00:00:01.000Z"


def keep_the_deleted_as_an_event(s):
    s.events[7] = message(8, 7, "m8", "ada", "oops")


def tell_a_member_nothing(s):
    s.record.add("bob", 1, "view", channel=f"{C}2", start=0, cursor=0, whole=True, applied={})
    del s.applied["bob"]


EXPECTED = {
    answer_nothing_at_a_door: "Z", tell_a_stranger_by_a_gap: "Z", tell_the_removed: "Z", change_the_time_at_a_client: "O", change_the_time_of_acks: "I",
    keep_the_deleted_as_an_event: "P", tell_a_member_nothing: "L",
    lose_in_history: "L", ack_what_was_never_stored: "L", lose_a_file: "L", change_a_file: "L", show_half_a_file: "P", drop_an_attachment: "P", lose_at_a_client: "L", lose_what_was_not_acked_at_a_client: "L", lose_on_pages: "L", reject_what_was_acked: "L",
    never_answer: "V", invent: "P", invent_for_another: "P", change_content_live: "P", change_content_in_history: "P", change_content_in_a_replay: "P",
    forget_an_edit: "P", keep_the_deleted: "P", edit_another: "P", delete_unasked: "P", store_twice: "U", deliver_twice: "U",
    swap_live: "O", find_a_hole: "O", break_the_chain_of_history: "O", reorder_history: "O", descend_in_a_replay: "O", have_another_order: "O",
    ack_twice_differently: "I", ack_at_another_time: "I", ack_for_another: "I", conflict: "I", refuse_what_was_acked: "I",
    deliver_to_the_removed: "Z", replay_to_a_stranger: "Z", tell_a_stranger: "Z", leak: "Z", open_a_door: "Z", leak_at_a_door: "Z",
}
ALSO = {have_another_order: "U", lose_in_history: "I", ack_what_was_never_stored: "I"}  # one deed, seen from two sides


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
    before = {"gateway rss MB": 20, "gateway files": 30, "gateway parley_x_pending": 0}
    assert check_levels(before, {"gateway rss MB": 58, "gateway files": 38, "gateway parley_x_pending": 0}, slack) == []
    after = {"gateway rss MB": 59, "gateway files": 39, "gateway parley_x_pending": 1}
    assert [v.invariant for v in check_levels(before, after, slack)] == ["B", "B", "B"]
    text = "# TYPE parley_x_pending gauge\nparley_x_pending{a=\"1\"} 2\nparley_x_pending{a=\"2\"} 3\n# TYPE parley_y_pending_total counter\nparley_y_pending_total 9\n"
    assert queues("gateway", text) == {"gateway parley_x_pending": 5}
    assert queues("upload", "# TYPE parley_upload_pending gauge\nparley_upload_pending 9\n") == {}  # uploads that were begun may stay


def test_every_door_with_a_channel_is_tried():
    paths = yaml.safe_load((Path(__file__).parents[3] / "docs/openapi.yaml").read_text())["paths"]
    documented = {(method.upper(), path.removeprefix("/api").replace("/files/{id}", "/files/{file}")) for path, item in paths.items() for method in item
                  if method in ("get", "put", "post", "patch", "delete") and path.startswith(("/api/channels/{id}", "/api/files/{id}"))}
    assert documented | {("POST", "/uploads"), ("GET", USERS_DOOR)} == {(method, path) for method, path, _ in REST}


def test_frames_name_what_is_meant():
    assert frame_of("send", C, "i", "x", 0)["message"] == {"id": "i", "content": "x"}
    assert frame_of("edit", C, "i", "x", 7) == {"type": "edit", "channelId": C, "id": "i", "targetSeq": 7, "content": "x"}
    assert "content" not in frame_of("delete", C, "i", "", 7)
