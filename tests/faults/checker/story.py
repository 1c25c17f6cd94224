"""A sound record of a few events, written by hand, and the deeds that each break one thing in it."""

import copy

from .invariants import check
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
        return {"seq": seq, "id": f"m{seq}", "senderId": "ada", "createdAt": T0, "content": content, "deleted": False, "attachments": []}

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
    s.pages.append({**s.page(10, "hi"), "id": "m5"})
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


def store_twice_in_history(s):
    s.events.append(message(10, 9, "m5", "ada", "hi"))
    s.pages.append({**s.page(10, "hi"), "id": "m5"})


def have_twice_at_a_client(s):
    s.applied["bob"][10] = message(10, 9, "m5", "ada", "hi")


def deliver_to_a_stranger(s):
    s.live["mallory"] = [copy.deepcopy(s.live["bob"][1])]


def page_another_id(s):
    s.pages[0]["id"] = "m6"


def page_another_sender(s):
    s.pages[0]["senderId"] = "mallory"


def page_another_time(s):
    s.pages[0]["createdAt"] = "2026-01-01T00:00:01.000Z"


def page_another_tombstone(s):
    s.pages[2]["senderId"] = "mallory"


def page_another_reply(s):
    s.pages[0]["replyTo"] = "m6"


def page_other_files(s):
    s.pages[0]["attachments"] = [{"id": "f"}]


def page_files_of_the_deleted(s):
    s.pages[2]["attachments"] = [{"id": "f"}]


def page_what_is_no_event(s):
    s.pages.append(s.page(10, "hi"))


def page_twice(s):
    s.pages = [page for page in s.pages for _ in range(2)]


def descend_on_pages(s):
    s.pages[0:2] = s.pages[1::-1]


def mention_live(s):
    s.live["bob"][1]["message"]["mentions"] = ["ada"]


def have_what_history_has_not(s):
    s.applied["bob"][10] = message(10, 9, "m10", "ada", "hi")


def stand_still_in_history(s):
    s.events.insert(4, {**s.events[3], "prev": 4})


def ack_the_deleted_at_another_time(s):
    s.record.add("ada", 2, "ack", id="m8", asked="m8", channel=C, seq=8, createdAt="2026-01-01T00:00:01.000Z", duplicate=True)


def ack_as_another(s):
    s.record.of("ack")[0].data["seq"] = 6


def forget_a_removal(s):
    del s.events[3], s.live["eve"][0]
    s.events[3]["prev"] = 3
    for user in ("ada", "bob"):
        del s.applied[user][4], s.live[user][0]


def forget_a_member(s):
    del s.events[2]
    s.events[2]["prev"] = 2


def replay_nothing_to_a_stranger(s):
    s.record.add("mallory", 1, "replay", channel=C, start=4, through=9, events=[])


def tell_a_stranger_of_his_removal(s):
    s.record.add("mallory", 1, "removed", channel=C)


def shut_a_door(s):
    s.record.add("ada", 1, "shut", channel=C, door="GET /events", answer="404")


def edit_live(s):
    s.live["bob"][3]["messageEdited"]["content"] = "hello?"


def invent_a_member(s):
    s.live["bob"].append(joined(10, 9, "zoe"))


def change_the_channel(s):
    s.live["bob"].append({"channelId": C, "seq": 10, "prev": 9, "id": "c", "actorId": "bob", "createdAt": T0, "channelChanged": {"channel": {"id": C}}})


def remove_live(s):
    del s.live["bob"][1]["message"]
    s.live["bob"][1]["removed"] = {"reason": "deleted"}


def send_live_as_another(s):
    s.live["bob"][1]["message"]["senderId"] = "bob"


def give_another_id_inside(s):
    s.live["bob"][1]["message"]["id"] = "x"


def page_the_deleted_as_if_it_were_not(s):
    s.pages[2]["deleted"] = False


def page_content_of_the_deleted(s):
    s.pages[2]["content"] = "oops"


def delete_where_an_edit_was_sent(s):
    event = s.live["bob"][3]
    del event["messageEdited"]
    event["messageDeleted"] = {"targetSeq": 6, "targetId": "m6"}


def ack_where_nothing_is(s):
    s.record.of("ack")[0].data["seq"] = 50


def delete_live(s):
    s.live["bob"][1]["message"].update(content="", deleted=True)


EXPECTED = {
    give_another_id_inside: "P", page_the_deleted_as_if_it_were_not: "P", page_content_of_the_deleted: "P", delete_where_an_edit_was_sent: "P", ack_where_nothing_is: "I",
    edit_live: "P", invent_a_member: "P", change_the_channel: "P", remove_live: "P", send_live_as_another: "P", delete_live: "P",
    page_another_id: "P", page_another_sender: "P", page_another_time: "P", page_another_tombstone: "P", page_another_reply: "P", page_other_files: "P",
    page_files_of_the_deleted: "P", page_what_is_no_event: "P", page_twice: "U", descend_on_pages: "O", mention_live: "P", have_what_history_has_not: "O",
    stand_still_in_history: "O", ack_the_deleted_at_another_time: "I", ack_as_another: "I", forget_a_removal: "L", forget_a_member: "L",
    store_twice_in_history: "U", have_twice_at_a_client: "U", deliver_to_a_stranger: "Z", replay_nothing_to_a_stranger: "Z", tell_a_stranger_of_his_removal: "Z", shut_a_door: "Z",
    answer_nothing_at_a_door: "Z", tell_a_stranger_by_a_gap: "Z", tell_the_removed: "Z", change_the_time_at_a_client: "O", change_the_time_of_acks: "I",
    keep_the_deleted_as_an_event: "P", tell_a_member_nothing: "L",
    lose_in_history: "L", ack_what_was_never_stored: "L", lose_a_file: "L", change_a_file: "L", show_half_a_file: "P", drop_an_attachment: "P", lose_at_a_client: "L", lose_what_was_not_acked_at_a_client: "L", lose_on_pages: "L", reject_what_was_acked: "L",
    never_answer: "V", invent: "P", invent_for_another: "P", change_content_live: "P", change_content_in_history: "P", change_content_in_a_replay: "P",
    forget_an_edit: "P", keep_the_deleted: "P", edit_another: "P", delete_unasked: "P", store_twice: "U", deliver_twice: "U",
    swap_live: "O", find_a_hole: "O", break_the_chain_of_history: "O", reorder_history: "O", descend_in_a_replay: "O", have_another_order: "O",
    ack_twice_differently: "I", ack_at_another_time: "I", ack_for_another: "I", conflict: "I", refuse_what_was_acked: "I",
    deliver_to_the_removed: "Z", replay_to_a_stranger: "Z", tell_a_stranger: "Z", leak: "Z", open_a_door: "Z", leak_at_a_door: "Z",
}
ALSO = {store_twice_in_history: "L", have_twice_at_a_client: "O", have_another_order: "U", lose_in_history: "I", ack_what_was_never_stored: "I"}  # one deed, seen from two sides
