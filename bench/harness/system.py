"""A system under load: how it is started and how the load generator speaks to it. Parley is one, peers and raw limits are others."""

import dataclasses
import importlib.util
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
ROOT = BENCH.parent


@dataclasses.dataclass(frozen=True)
class Client:
    """One connection of a plan: who it is, and which rooms it is in. It sends to those alone."""

    user: str
    rooms: tuple = ()
    token: str = "-"


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What a system wants to hear and what it answers, for parley-bench (its --help has the same words).

    speak: "json" and "proto" are Parley's packed subprotocols, with chains verified; "text" is anything that sends text messages, described
    by the templates below. In them {token} {user} {room} {id} {ref} {n} and {content} are replaced; {content} is the message's payload,
    which begins with the intended time of sending between marks that the generator finds again in what is received, wherever it stands.
    Ids are UUIDs, never repeated; ref is the number of the sender's request, from 1.
    """

    speak: str = "text"
    protocol: str = ""  # Sec-WebSocket-Protocol; empty: none
    hello: str = ""  # sent once after the upgrade; empty: nothing
    join: str = ""  # sent for each room of the client after hello; empty: nothing
    ready: str = ""  # text in an answer that says "go on": expected once for hello and once for each join; empty: the upgrade is enough
    send: str = "{content}"
    event: str = ""  # text that every delivered message contains; empty: whatever contains a payload
    ack: str = ""  # text in the answer to a send, the ref behind it in decimal digits (`"ref":`); empty: there are none


class System:
    """Subclass this. start() returns when the system is ready to be spoken to; stop() ends everything that start() began."""

    name = "?"  # in results; one word
    what = ""  # one line for people: what it is and what it promises
    raw = False  # True: no system but a limit of the machine
    dialect = Dialect()
    audience = "room"  # who gets a message: "room" (all members, the sender too), "others" (all but the sender) or "self" (an echo)

    def start(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    @property
    def url(self):
        """ws://127.0.0.1:PORT/path; {token} and {user} in it are replaced."""
        raise NotImplementedError

    def provision(self, clients):
        """Makes rooms and members as needed. Returns the clients with what they need to get in (token)."""
        return clients

    def pids(self):
        """{part: process id} of all that does the work, databases and brokers too: for CPU time a message."""
        return {}

    def front(self):
        """The part of pids() that holds the connections: for memory a connection."""
        return next(iter(self.pids()), None)

    def restart_front(self):
        """Starts the part that holds connections anew, so that its memory is that of none; all of it, where that is not possible."""
        self.stop()
        self.start()

    def settle(self, timeout=120):
        """Returns when everything that was acknowledged has reached its last store."""

    def lag(self):
        """How many acknowledged messages have not reached the last store; None: not known."""
        return None


def peers():
    """{name: class} of what bench/peers/*.py lists in SYSTEMS."""
    found = {}
    for path in sorted((BENCH / "peers").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"peers_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for system in getattr(module, "SYSTEMS", ()):
            found[system.name] = system
    return found
