"""What must hold whatever broke: pure functions over a record and over what history serves after recovery.

L  nothing that was acked is lost: history has it at that sequence, and every client that was a member has it
P  nothing that nobody sent, and nothing with another content
U  nothing twice: one sequence for an id, and no live event twice on a connection
O  one order: live events ascend, nothing is missing in a chain, all have the order of history
I  an id is answered the same whenever it is asked for, and every answer is for what was asked
Z  nothing of a channel for who is no member of it: no frame, no page, no ack
V  recovery within the bound of the fault, and an answer to everything
B  memory, open files and queues are back at their level
S  who is shown as being there has a socket open, and nobody else (presence.py)
"""

from collections import Counter, defaultdict, namedtuple
from functools import cache
from itertools import groupby

LETTERS = "LPUOIZVB"
SEEN = "S"   # in the faults of presence alone
FIXED = ("id", "senderId", "senderName", "createdAt", "type", "threadId", "replyTo", "mentions")   # of a message, whatever happens to its content
UNSAID = ("threadId", "replyTo", "mentions")                                                         # no client of the checker sends these
BODIES = ("message", "messageEdited", "messageDeleted", "memberJoined", "memberLeft", "memberChanged", "channelChanged", "removed")
Violation = namedtuple("Violation", "invariant what")


class Case:
    """A record with what history served: {channel: {"events": [...], "messages": [...]}}; epochs: a log that was made anew has no whole chain."""

    def __init__(self, record, history):
        self.record, self.history = record, history
        self.channels = set(history)
        self.intents = {(e.channel, e.user, e.id): e for e in record.of("intend")}
        self.acks = [e for e in record.of("ack") if e.channel in self.channels]
        self.views = [e for e in record.of("view") if e.channel in self.channels]
        self.by_seq = {c: {e["seq"]: e for e in h["events"]} for c, h in history.items()}
        self.changes = record.of("member")
        self.joined_only = {e.channel for e in self.changes if e.op == "create" and e.visibility == "joined"}
        self.edits = defaultdict(set)                     # (channel, seq of the message) -> contents it was ever meant to have
        self.deletes = set()
        for e in record.of("intend"):
            if e.op == "edit":
                self.edits[e.channel, e.target].add(e.content)
            elif e.op == "delete":
                self.deletes.add((e.channel, e.target))

    @cache
    def hidden(self, channel, user):
        """What a member must not see: [(left, came back)], where the channel shows only what happened while one was a member."""
        if channel not in self.joined_only:
            return []
        spans, left = [], None
        for event in self.history[channel]["events"]:
            if event.get("memberLeft", {}).get("userId") == user:
                left = event["seq"]
            elif event.get("memberJoined", {}).get("userId") == user and left is not None:
                spans.append((left, event["seq"]))
        return spans

    @cache
    def member_until(self, channel, user):
        """The last sequence that concerns this user: None when he is a member now, 0 when he never was one."""
        until = 0
        for event in self.history[channel]["events"]:
            if event.get("memberJoined", {}).get("userId") == user:
                until = None
            elif event.get("memberLeft", {}).get("userId") == user:
                until = event["seq"]
        return until


def body_of(event):
    return next((b for b in BODIES if b in event), "unknown")


def name(event):
    return f"{event['channelId']}/{event['seq']} ({body_of(event)} {event['id']} of {event['actorId']})"


# --- L ---

def lost(case):
    acked = defaultdict(set)
    stored = {(e["channelId"], e["actorId"], e["id"]) for h in case.history.values() for e in h["events"]}
    for ack in case.acks:
        event = case.by_seq[ack.channel].get(ack.seq)
        acked[ack.channel].add(ack.seq)
        if (ack.channel, ack.user, ack.asked) not in stored:
            yield f"acked to {ack.client} as {ack.channel}/{ack.seq} ({ack.id}), and not in history"
        elif event and body_of(event) == "removed" and event["removed"]["reason"] != "deleted":
            yield f"acked to {ack.client} as {ack.channel}/{ack.seq}, and history has it as {event['removed']['reason']}"
    for view in case.views:
        if case.member_until(view.channel, view.user) is not None:
            continue
        if not view.whole:
            yield f"{view.client} never got {view.channel} whole again (through {view.cursor})"
        hidden = case.hidden(view.channel, view.user)
        missing = [s for s in case.by_seq[view.channel] if s > view.start and s not in seqs_of(view) and not within(s, hidden)]
        for seq in missing[:5]:
            also = "acked, " if seq in acked[view.channel] else ""
            yield f"{view.client} never saw {name(case.by_seq[view.channel][seq])} ({also}{len(missing)} in all)"
    viewers, seen = {(v.client, v.user) for v in case.record.of("view")}, {(v.client, v.channel) for v in case.views}
    for channel in case.history:
        for client, user in viewers:
            if case.member_until(channel, user) is None and (client, channel) not in seen:
                yield f"{client} was never told of {channel}, and is a member"
    for e in case.record.of("file"):
        if e.there and (e.status != 302 or e.same is False):
            what = "another content" if e.status == 302 else f"{e.status}"
            yield f"the file {e.id} of {e.channel} was completed, and a member is answered {what} for it"
    for channel, history in case.history.items():
        pages = {m["seq"] for m in history["messages"]}
        for event in history["events"]:
            if "message" in event and event["seq"] not in pages:
                yield f"{name(event)} is an event, and on no page of messages"
    yield from lost_changes(case)


def lost_changes(case):
    """A change of members that was answered 201 or 204 is an event, in the order of the answers; what was not answered so may be one, too."""
    answered = defaultdict(list)
    for e in case.changes:
        if e.channel in case.channels and (e.op, e.status) in (("add", 201), ("remove", 204)):
            answered[e.channel, e.user_id].append(e.op)
    for (channel, user), ops in answered.items():
        bodies = [(op, event.get(body, {})) for event in case.history[channel]["events"] for op, body in (("add", "memberJoined"), ("remove", "memberLeft"))]
        happened = iter([op for op, body in bodies if body.get("userId") == user])
        for op, _ in groupby(ops):
            if op not in happened:  # takes from it up to the first such
                yield f"the {op} of {user} in {channel} was answered, and is no event where it should be"
                break


def within(seq, spans):
    return any(a < seq < b for a, b in spans)


def seqs_of(view):
    return {int(s) for s in view.applied}


# --- P ---

def invented(case):
    seen = set()
    for client, event in all_events(case):
        placeholder = body_of(event) == "removed" and client != "history" and within(event["seq"], case.hidden(event["channelId"], client.split("/")[0]))
        why = None if placeholder else why_invented(case, event)
        if why and (event["channelId"], event["seq"], why) not in seen:
            seen.add((event["channelId"], event["seq"], why))
            yield f"{client} has {name(event)}: {why}"
    for e in case.record.of("file"):
        if not e.there and e.status != 404:
            yield f"the file {e.id} of {e.channel} was not completed, and a member is answered {e.status} for it"
    for channel, history in case.history.items():
        yield from wrong_pages(case, channel, history)


def all_events(case):
    """Every event that anybody was given in any way, with who it was."""
    for channel, history in case.history.items():
        for event in history["events"]:
            yield "history", event
    for e in case.record.of("live"):
        if e.event["channelId"] in case.channels:
            yield e.client, e.event
    for e in case.record.of("replay", "page"):
        if e.channel in case.channels:
            for event in e.events:
                yield e.client, event


def why_invented(case, event):
    channel, body = event["channelId"], body_of(event)
    if body in ("memberJoined", "memberLeft"):
        op = "add" if body == "memberJoined" else "remove"
        asked = any(e.user_id == event[body]["userId"] and e.op == op for e in case.changes if e.channel == channel)
        return None if asked else "nobody asked for it"
    if body == "channelChanged":
        made = any(e.client == event["actorId"] for e in case.changes if e.channel == channel and e.op == "create")
        return None if made and event[body]["channel"]["id"] == channel else "nobody changed it"
    intent = case.intents.get((channel, event["actorId"], event["id"]))
    if intent is None:
        return "nobody sent it"
    if body == "removed":
        # with a message its edits lose their content
        deleted = (channel, intent.target if intent.op == "edit" else event["seq"]) in case.deletes
        return None if deleted or event["removed"]["reason"] != "deleted" else "nobody deleted it"
    if {"send": "message", "edit": "messageEdited", "delete": "messageDeleted"}[intent.op] != body:
        return f"it was sent as {intent.op}"
    if body == "message":
        message = event["message"]
        if message["senderId"] != event["actorId"] or message["id"] != event["id"]:
            return "the message is of another than its event"
        if message.get("deleted"):
            return None if (channel, event["seq"]) in case.deletes else "nobody deleted it"
        if message["content"] != intent.content and message["content"] not in case.edits[channel, event["seq"]]:
            return "its content is not what was sent"
        if [a["id"] for a in message.get("attachments", [])] != list(intent.data.get("attachments", {})):
            return "its files are not those that were attached"
        more = [field for field in UNSAID if message.get(field)]
        return f"it has {', '.join(more)} of which nobody said anything" if more else None
    if event[body]["targetSeq"] != intent.target:
        return "it has another target"
    return "its content is not what was sent" if body == "messageEdited" and event[body]["content"] != intent.content else None


def wrong_pages(case, channel, history):
    """Pages of messages must be what the events make of them."""
    expected, gone = made_of_events(history["events"])
    for event in history["events"]:
        if event["seq"] in gone and event.get("message", {}).get("content"):
            yield f"history's events still have the content of {channel}/{event['seq']}, which was deleted"
    for message in history["messages"]:
        seq, event = message["seq"], case.by_seq[channel].get(message["seq"], {})
        where, of = f"the page has {channel}/{seq}", event.get("message", {})
        if seq in gone:
            if not message["deleted"] or message["content"] or message["attachments"]:
                yield f"the page still has the content of {channel}/{seq}, which was deleted"
        elif seq not in expected:
            yield f"{where}, which is no event"
        elif message["content"] != expected[seq]:
            yield f"{where} with a content that its events do not make"
        elif [a["id"] for a in message["attachments"]] != [a["id"] for a in of.get("attachments", [])]:
            yield f"{where} with other files than its event"
        stored = {"id": event.get("id"), "senderId": event.get("actorId"), "createdAt": event.get("createdAt")}
        if seq not in gone:
            stored = {field: of.get(field) for field in FIXED} | stored
        other = [f"{field} {message.get(field)!r}, not {value!r}" for field, value in stored.items() if event and message.get(field) != value]
        if other:
            yield f"{where} with another {', '.join(other)}"


def made_of_events(events):
    """({sequence of a message: its content after the edits}, sequences of those that were deleted)."""
    content = {e["seq"]: e["message"]["content"] for e in events if "message" in e}
    for edit in (e["messageEdited"] for e in events if "messageEdited" in e):
        if edit["targetSeq"] in content:
            content[edit["targetSeq"]] = edit["content"]
    return content, {e["messageDeleted"]["targetSeq"] for e in events if "messageDeleted" in e}


# --- U ---

def doubled(case):
    for who, channel, events in histories(case):
        first = {}
        for event in sorted(events, key=lambda e: e["seq"]):
            identity = (event["actorId"], event["id"])
            if body_of(event) in ("message", "messageEdited", "messageDeleted", "removed") and event["id"]:
                if identity in first:
                    yield f"{who} has {name(event)} twice: also as {channel}/{first[identity]}"
                first.setdefault(identity, event["seq"])
    for key, seqs in live_runs(case):
        for a, b in zip(seqs, seqs[1:]):
            if a == b:
                yield f"{key[0]} got {key[2]}/{a} twice live on connection {key[1]}"
    for channel, history in case.history.items():
        for seq, n in Counter(m["seq"] for m in history["messages"]).items():
            if n > 1:
                yield f"{channel}/{seq} is on the pages of messages {n} times"


def histories(case):
    for channel, history in case.history.items():
        yield "history", channel, history["events"]
    for view in case.views:
        yield view.client, view.channel, list(view.applied.values())


def live_runs(case):
    """The sequences of live events as they came, for each connection and channel; a rewind begins anew."""
    runs, done = defaultdict(list), []
    for e in case.record.of("live", "rewind"):
        channel = e.channel if e.kind == "rewind" else e.event["channelId"]
        key = (e.client, e.conn, channel)
        if e.kind == "rewind":
            done.append((key, runs.pop(key, [])))
        elif channel in case.channels:
            runs[key].append(e.event["seq"])
    return done + list(runs.items())


# --- O ---

def disordered(case):
    for key, seqs in live_runs(case):
        for a, b in zip(seqs, seqs[1:]):
            if b < a:
                yield f"{key[0]} got {key[2]}/{b} live after {a} on connection {key[1]}"
    for e in case.record.of("break"):
        if e.channel in case.channels:
            yield f"{e.client} found a hole live: {e.channel}/{e.seq} names {e.prev} as before it, and {e.cursor} was the last"
    for e in case.record.of("replay", "page"):
        seqs = [event["seq"] for event in e.events]
        if seqs != sorted(set(seqs)):
            yield f"a {e.kind} of {e.channel} to {e.client} does not ascend"
    for channel, history in case.history.items():
        yield from broken_chain(channel, history["events"])
        seqs = [m["seq"] for m in history["messages"]]
        if seqs != sorted(seqs):
            yield f"the pages of {channel} do not ascend"
    for view in case.views:
        hidden = case.hidden(view.channel, view.user)
        for seq, event in view.applied.items():
            if within(int(seq), hidden):
                continue  # at most a placeholder, whose author is nobody's business
            stored = case.by_seq[view.channel].get(int(seq))
            if stored is None:
                yield f"{view.client} has {name(event)}, and history has nothing there"
            elif stored["id"] != event["id"]:
                yield f"{view.client} has {name(event)} where history has {name(stored)}"
            elif "removed" not in stored and "removed" not in event and stored["createdAt"] != event["createdAt"]:
                yield f"{view.client} has {name(event)} of {event['createdAt']}, and history of {stored['createdAt']}"


def broken_chain(channel, events):
    for a, b in zip(events, events[1:]):
        if b["seq"] <= a["seq"]:
            yield f"history's events of {channel} do not ascend at {b['seq']}"
        elif b["prev"] != a["seq"]:
            yield f"history's chain of {channel} breaks at {b['seq']}: {b['prev']} is named as before it, and {a['seq']} is"


# --- I ---

def inconsistent(case):
    first = {}
    for ack in case.acks:
        key = (ack.channel, ack.user, ack.asked)
        if ack.id != ack.asked:
            yield f"{ack.client} asked for {ack.asked} and was answered for {ack.id}"
            continue
        before = first.setdefault(key, ack)
        if before.seq != ack.seq or before.createdAt != ack.createdAt:
            yield f"{ack.asked} was acked as {before.seq} ({before.createdAt}) and then as {ack.seq} ({ack.createdAt}) to {ack.client}"
        event = case.by_seq[ack.channel].get(ack.seq)
        if event is None or (event["id"], event["actorId"]) != (ack.id, ack.user):
            there = name(event) if event else "nothing"
            yield f"{ack.id} was acked to {ack.client} as {ack.channel}/{ack.seq}, where history has {there}"
        elif "removed" not in event and event["createdAt"] != ack.createdAt:
            yield f"{ack.id} was acked to {ack.client} as of {ack.createdAt}, and history has it of {event['createdAt']}"
    for e in case.record.of("refused"):
        if e.channel in case.channels and e.code == "id_conflict":
            yield f"{e.client} was answered id_conflict for {e.id}, which it never used for anything else"
        elif (e.channel, e.user, e.id) in first and first[e.channel, e.user, e.id].at < e.at and case.member_until(e.channel, e.user) is None:
            yield f"{e.client} was answered {e.code} for {e.id}, which had been acked"


# --- Z ---

def leaked(case):
    for e in case.record.of("leak"):
        yield f"{e.client} was sent something of {e.channel} in {e.where}: {e.text[:80]}"
    for e in case.record.of("probe"):
        if e.granted or e.leaked:
            yield f"{e.client} got through {e.door} of {e.channel}: {e.answer}"
    for e in case.record.of("silent"):
        yield f"{e.client} was not answered who may at {e.door} of {e.channel}: nothing shows that it is closed"
    for e in case.record.of("live", "replay", "page"):
        events = [e.event] if e.kind == "live" else e.events
        hidden = case.hidden(events[0]["channelId"], e.user) if events and events[0]["channelId"] in case.channels else []
        for event in events:
            if within(event["seq"], hidden) and body_of(event) != "removed":
                yield f"{e.client} got {name(event)} ({e.kind}), of the time when he was no member"
            until = case.member_until(event["channelId"], e.user) if event["channelId"] in case.channels else None
            if until is not None and event["seq"] > until:
                yield f"{e.client} got {name(event)} ({e.kind}), and " + (f"was removed at {until}" if until else "never was a member")
    for e in case.record.of("shut"):
        yield f"a member got {e.answer} at {e.door} of {e.channel}: that outsiders are kept out there shows nothing"
    for e in case.record.of("state", "gap", "replay"):
        until, head = case.member_until(e.channel, e.user) if e.channel in case.channels else None, e.through if e.kind == "replay" else e.head
        if until is not None and head > until:
            yield f"{e.client} was told that {e.channel} is at {head} ({e.kind}), and " + (f"was removed at {until}" if until else "never was a member")
    for e in case.record.of("removed"):
        if e.channel in case.channels and case.member_until(e.channel, e.user) == 0:
            yield f"{e.client} was told that he is no member of {e.channel} any more, and never was one"
    for absence in absences(case):
        yield from seen_in_absence(case, *absence)


def absences(case):
    """(channel, user, from, to, sequence of the removal): between the answer to a removal and the next wish to add him. Whoever comes back may
    see what was said meanwhile, but not before."""
    open_since, count = {}, defaultdict(int)
    for e in case.changes:
        key = (e.channel, e.user_id)
        if e.op == "remove" and e.status == 204:
            open_since[key] = e.at
        elif e.op == "add" and key in open_since:
            yield *key, open_since.pop(key), e.at, left_at(case, *key, count[key])
            count[key] += 1
    for key, since in open_since.items():
        yield *key, since, float("inf"), left_at(case, *key, count[key])


def left_at(case, channel, user, n):
    events = case.history[channel]["events"] if channel in case.channels else []
    left = [e["seq"] for e in events if e.get("memberLeft", {}).get("userId") == user]
    return left[n] if n < len(left) else 0


def seen_in_absence(case, channel, user, since, to, left):
    sent = {}
    for e in case.record.entries:
        if e.user != user or not since < e.at < to:
            continue
        if e.kind == "live" and e.event["channelId"] == channel and e.event["seq"] > left:
            yield f"{e.client} got {name(e.event)} after the removal at {left} was answered"
        elif e.kind == "sent" and e.channel == channel and not e.retry:
            sent[e.id] = e
        elif e.kind == "ack" and e.channel == channel and e.asked in sent:
            yield f"{e.client} was acked {e.channel}/{e.seq}, sent after his removal at {left} was answered"


# --- V ---

def unanswered(case):
    for e in case.record.of("unanswered"):
        yield f"the {e.op} {e.id} of {e.client} in {e.channel} was given up without an answer"


CHECKS = {"L": lost, "P": invented, "U": doubled, "O": disordered, "I": inconsistent, "Z": leaked, "V": unanswered}


def check(record, history):
    """All violations that a record shows by itself."""
    case = Case(record, history)
    return [Violation(letter, what) for letter, function in CHECKS.items() for what in function(case)]


def check_bound(recovered_s, bound_s):
    """V: None as recovered_s means never."""
    if recovered_s is None or recovered_s > bound_s:
        took = "did not recover" if recovered_s is None else f"took {recovered_s:.1f} s to recover"
        return [Violation("V", f"{took}; the bound is {bound_s} s")]
    return []


def check_levels(before, after, slack):
    """B: levels by name, with what each may be above what it was: slack(name, before) -> limit. What was not told before was nothing."""
    found = [f"{name} was {before.get(name, 0)} and is {value}, above {slack(name, before.get(name, 0))}"
             for name, value in after.items() if value > slack(name, before.get(name, 0))]
    return [Violation("B", what) for what in found + [f"{name} was {before[name]}, and nobody tells it any more" for name in before if name not in after]]
