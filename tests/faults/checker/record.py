"""What a run has seen: every intention, frame, answer and event of every client, in the order in which they happened. Only ever appended to.

kind        data
intend      id, channel, op (send, edit, delete), content, target (seq), attachments (id of the file -> descriptor)
                                                                                  a mutation that a client means to make, once for each id
sent        id, channel, retry                                                    it left; again for every retry
ack         id, channel, asked (the id of the request), seq, createdAt, duplicate
refused     id, channel, code                                                     an answer after which it is not tried again
unanswered  id, channel, op                                                       it was given up, long after the last fault
member      channel, user_id, op (add, remove), status                             a change of members, before it was asked for and as answered; create: visibility
connected   url            closed   code           fatal   code, reason           reconnect   after_ms          a session; fatal: a close after which clients give up, and what ended a part of the load
state       channel, epoch, head, source (ready, added)
live        event          replay   channel, start, through, events               as they came, before anything is dropped
gap         channel, start, head, reason           page     channel, through, events (of REST)
break       channel, seq, prev, cursor             rewind   channel, head         what the client concluded
removed     channel                                                               channelRemoved
view        channel, start, cursor, whole, applied (seq -> event)                 at the end: what the client has
probe       channel, door, answer, granted, leaked                                an outsider tried a door, and was answered who may
silent      channel, door                                                         it gave no such answer, however often it was tried at the end
shut        channel, door, answer                                                 and at the end a member was not let in by the same request
leak        channel, where, text                                                  an outsider was sent what only members may see
upload      id, channel, size, cut                                                an upload was begun; cut: its body ends in the middle
file        channel, id, status, there, same          what a member was answered for a file (0: nothing), which is to be there or not; is its content what was sent?
mark        text                                                                  what the run itself did
"""

import json
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    at: float             # s, of a clock that does not jump
    client: str           # name of the session's owner: user, or user/device
    conn: int             # number of the client's connection
    kind: str
    data: dict = field(default_factory=dict)

    def __getattr__(self, name):
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(f"a {self.kind} has no {name}") from None

    @property
    def user(self):
        return self.client.split("/")[0]


class Record:
    def __init__(self):
        self.entries = []

    def add(self, client, conn, kind, **data):
        entry = Entry(time.monotonic(), client, conn, kind, data)
        self.entries.append(entry)
        return entry

    def of(self, *kinds):
        return [e for e in self.entries if e.kind in kinds]

    def save(self, path):
        """One entry a line, for whoever looks for the reason of a violation."""
        with open(path, "w") as out:
            for e in self.entries:
                out.write(json.dumps({"at": round(e.at, 6), "client": e.client, "conn": e.conn, "kind": e.kind, **e.data}) + "\n")
