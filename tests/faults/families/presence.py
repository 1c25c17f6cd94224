"""Presence hindered in every way, with people who come and go meanwhile: afterwards each watcher sees who has a socket open, as they themselves know it.

Gateway 2 has a name, and a relay between itself and nats-server that can lose, double and delay what concerns presence; chat passes."""

import asyncio
import random
import signal

from checker.invariants import LETTERS, SEEN
from checker.presence import THERE, Crowd, check_seen
from fault import fault
from families.gateways import TwoGateways
from inject.proxy import Network
from inject.relay import Relay
from support.stack import Stack, wait_until

GRACE_S, SILENT_S, HEARTBEAT_S = 2, 12, 10   # heartbeat: of gateways, fixed
MARGIN_S = 5                                 # on top of what the docs say, for telling it and for a loaded machine


class PresenceStack(Stack):
    def second_gateway(self):
        self.network = Network()
        self.relay = Relay(self.network, "127.0.0.1", int(self.nats_url.rsplit(":", 1)[1]))
        gateway = super().second_gateway()
        gateway.env = {"PARLEY_GATEWAY_ID": "second", "PARLEY_NATS_URL": f"nats://127.0.0.1:{self.relay.port}"}
        return gateway

    def down(self):
        try:
            super().down()
        finally:
            if len(self.gateways) > 1:
                self.relay.close()
                self.network.close()


class Watched(TwoGateways):
    """A fault with a crowd; `settle_s` is the bound of S, from the end of `mend`."""
    invariants = LETTERS + SEEN
    settings = {"PARLEY_PRESENCE_GRACE_MS": GRACE_S * 1000, "PARLEY_PRESENCE_SILENT_MS": SILENT_S * 1000}
    bound_s, settle_s = 30, GRACE_S + MARGIN_S

    def new_stack(self, build):
        return PresenceStack(build=build, **self.settings)

    async def prepare(self, run):
        self.crowd, self.settling = Crowd(run.doors, run.load.run, random.Random(f"{run.seed} crowd")), None
        self.owner, *others = self.crowd.members
        self.channel = await run.thread(run.stack.channel, self.owner, others)
        for person in self.crowd.leaver, self.crowd.joiner:   # in `general` everybody would see them, whatever else they leave
            await run.thread(self.leave_general, run, person.user)
        await self.crowd.start(self.channel)

    def leave_general(self, run, user):
        with run.stack.rest(user) as rest:
            answer = rest.post("/api/channels/general/leave")
        assert answer.status_code in (202, 204), answer.text

    async def heal(self, run):
        await self.mend(run)
        await self.crowd.still()
        if self.crowd.joiner.member:
            self.crowd.regrouped()   # they may have gone since
        self.settling = asyncio.create_task(self._settle(run))

    async def _settle(self, run):
        """Then they go: their sockets are no leak of the gateways that are left."""
        found = await self.crowd.settled(self.settle_s)
        there = sum(p.open for p in self.crowd.people)
        await self.crowd.close()
        if not isinstance(found, list):
            run.show(f"{self.crowd.turns} came or went; {len(self.crowd.watchers)} watchers and {len(self.crowd.readers)} readers saw the {there} of {len(self.crowd.people)} "
                     f"who are there after {found:.1f} s")
        return found

    async def mend(self, run):
        """What ends the fault itself."""

    async def verify(self, run):
        return check_seen(await self.settling, self.settle_s, self.crowd)

    async def clean(self, run):
        if getattr(self, "settling", None):
            self.settling.cancel()
        if hasattr(self, "crowd"):
            await self.crowd.close()
        await super().clean(run)

    def on_second(self, run):
        """Of whom watchers are told."""
        return [p for p in self.crowd.people if p.member and p.url == run.stack.gateways[1].ws_url]

    async def gather_on_second(self, run, n=6):
        """Nobody comes or goes any more, and at least n are there."""
        await self.crowd.still()
        for person in self.crowd.people[:n]:
            await person.go(True)
            person.come(1)
        await run.until(lambda: sum(p.open for p in self.on_second(run)) >= n, 15, "there are people on the second gateway")
        return self.on_second(run)

    async def regroup(self, run):
        """While the fault lasts one is removed from the channel of all, the only one that he shares with them: readers, who have it in focus, do not see him any more at
        once, and nobody is told anything of him. Another one comes into it."""
        leaver, joiner = self.crowd.leaver.user, self.crowd.joiner.user

        def change():
            with run.stack.rest(self.owner) as rest:
                answers = rest.delete(f"/api/channels/{self.channel}/members/{leaver}"), rest.post(f"/api/channels/{self.channel}/members", json={"userId": joiner})
            assert all(a.status_code in (201, 202, 204) for a in answers), [a.text for a in answers]
        await run.thread(change)
        self.crowd.regrouped()
        readers = self.crowd.readers
        await run.until(lambda: all(r.seen is not None and r.seen.get(leaver) not in THERE for r in readers), MARGIN_S, f"no reader sees {leaver}, who was removed")
        await self.crowd.bar_leaver(MARGIN_S)

    async def typing_goes_on(self):
        if not await self.crowd.one_writes(MARGIN_S):
            self.crowd.readers[1].strange.append(f"nothing of {self.crowd.readers[0].user}, who writes, within {MARGIN_S} s: typing is no business of presence")

    async def wrong_within(self, run, seconds, what):
        """The fault is seen: some view is wrong while it lasts."""
        await run.until(self.crowd.wrong, seconds, f"{what}: no view is wrong")


@fault
class KillPresence(Watched):
    name, about = "kill-presence", "kill -9 of presence while people come and go, started again after 3 s"
    settle_s = GRACE_S + 3 + MARGIN_S

    async def inject(self, run):
        self.crowd.freeze()
        pid = run.stack.pid("presence")
        await run.thread(run.stack.kill, "presence")
        await self.wrong_within(run, 20, "presence is dead")
        await self.regroup(run)
        await self.typing_goes_on()
        await run.pause(3)
        run.show(f"presence {pid} was killed")

    async def mend(self, run):
        await run.thread(run.stack.start, "presence")

    async def clean(self, run):
        await run.thread(run.stack.start, "presence")
        await super().clean(run)


class Stopped(Watched):
    """One part stands still while people come and go"""
    part, stopped_s = None, 30

    async def inject(self, run):
        self.crowd.freeze()
        pids = [run.stack.pid(self.part)]
        run.stack.signal_all(pids, signal.SIGSTOP)
        await run.thread(wait_until, lambda: run.stack.states(pids) == ["T"], 5, f"{self.part} stands still")
        await self.wrong_within(run, 20, f"{self.part} stands still")
        await self.meanwhile(run)
        await run.pause(self.stopped_s)
        run.show(f"{self.part} {pids[0]} was stopped (state T) for {self.stopped_s} s")

    async def meanwhile(self, run):
        """What does not need the part."""

    async def mend(self, run):
        run.stack.signal_all([run.stack.pid(self.part)], signal.SIGCONT)

    async def clean(self, run):
        await self.mend(run)
        await super().clean(run)


@fault
class StopPresence(Stopped):
    name, about = "stop-presence", "SIGSTOP of presence while people come and go, SIGCONT after 30 s"
    part = "presence"
    settle_s = GRACE_S + 3 + MARGIN_S   # what it was asked meanwhile is asked again after 3 s

    async def meanwhile(self, run):
        await self.regroup(run)
        await self.typing_goes_on()


@fault
class PresenceNatsStopped(Stopped):
    name, about = "presence-stop-nats", f"SIGSTOP of nats-server for {2 * SILENT_S} s while people come and go: nobody can be heard, and nobody is gone for that"
    part, stopped_s = "nats-server", 2 * SILENT_S
    settle_s = GRACE_S + 2 * MARGIN_S   # everybody connects anew first


class Relayed(Watched):
    """Rules in the relay of gateway 2."""
    # what was lost last is found by the next heartbeat
    settle_s = HEARTBEAT_S + GRACE_S + MARGIN_S
    LASTS_S = SILENT_S + 6

    async def inject(self, run):
        self.counts = dict.fromkeys(("lost", "doubled", "late"), 0)
        self.held = {}
        run.stack.relay.rule = lambda up, subject, data: self.rule(run, up, subject, data) if "presence." in subject else (data,)
        await self.wrong_within(run, 30, "the relay plants")
        await self.regroup(run)
        await run.pause(self.LASTS_S)
        run.show(f"between gateway 2 and presence {self.counts['lost']} messages were lost, {self.counts['doubled']} doubled and {self.counts['late']} came late")
        self.prove()

    async def mend(self, run):
        run.stack.relay.rule = None

    async def clean(self, run):
        if len(run.stack.gateways) > 1:
            run.stack.relay.rule = None
        await super().clean(run)


@fault
class PresencePartition(Relayed):
    name, about = "presence-partition", f"nothing passes between presence and one of two gateways for {Relayed.LASTS_S} s, longer than its silence may last"

    def rule(self, run, up, subject, data):
        self.counts["lost"] += 1
        return ()

    def prove(self):
        assert self.counts["lost"] > 5, self.counts


@fault
class PresenceDeltas(Relayed):
    name, about = "presence-deltas", "what a gateway and presence tell each other is lost, doubled, and comes late, at random"

    def rule(self, run, up, subject, data):
        key, kind = (up, subject), run.random.random()
        late = self.held.pop(key, ())
        if kind < 0.35:
            self.counts["lost"] += 1
            return late
        if kind < 0.55:
            self.counts["doubled"] += 1
            return (data, data, *late)
        if kind < 0.75 and not late:
            self.held[key] = (data,)
            return ()
        self.counts["late"] += len(late)
        return (data, *late)   # the one before comes after this one

    def prove(self):
        assert min(self.counts.values()) > 0, self.counts


@fault
class PresenceGatewayKilled(Watched):
    name, about = "presence-kill-gateway", "kill -9 of one of two gateways; half of its users do not come back, and it neither until its silence is over"

    async def inject(self, run):
        there = await self.gather_on_second(run)
        await run.thread(run.stack.gateways[1].kill)
        for person in there[::2]:
            await person.go(True)
        await self.wrong_within(run, 5, "they are gone, and nobody can know")
        found = await self.crowd.settled(SILENT_S + GRACE_S + MARGIN_S)
        if isinstance(found, list):
            self.crowd.watchers[0].strange.append(f"wrong views before the gateway came back: {found[:3]}")
        run.show(f"the gateway died with {len(there)} of them; the views were right again without it" +
                 (f" after {found:.1f} s" if not isinstance(found, list) else ": no"))

    async def mend(self, run):
        await run.thread(run.stack.second_gateways, 2)


@fault
class PresenceGatewayPaused(Watched):
    name, about = "presence-pause-gateway", f"SIGSTOP of one of two gateways for {SILENT_S + 6} s: its users go offline for the others and come back, but for those who left"

    async def inject(self, run):
        pids = [run.stack.gateways[1].process.pid]
        there = await self.gather_on_second(run)
        run.stack.signal_all(pids, signal.SIGSTOP)
        await run.thread(wait_until, lambda: run.stack.states(pids) == ["T"], 5, "the gateway stands still")
        for person in there[::2]:
            await person.go(True)
        stay, others = there[1::2], [w for w in self.crowd.watchers if w.url == run.stack.ws_url]
        await run.until(lambda: all(w.seen and w.seen.get(p.user) == "offline" for w in others for p in stay), SILENT_S + MARGIN_S,
                        "its users are offline for the others")
        await run.pause(3)
        run.show(f"gateway 2 stood still with {len(there)} of them, of whom {len(there) - len(stay)} left; the {len(stay)} with a socket there were shown "
                 f"offline to {len(others)} at the other")

    async def mend(self, run):
        run.stack.signal_all([run.stack.gateways[1].process.pid], signal.SIGCONT)

    async def clean(self, run):
        if len(run.stack.gateways) > 1 and run.stack.gateways[1].alive():
            run.stack.signal_all([run.stack.gateways[1].process.pid], signal.SIGCONT)
        await super().clean(run)


@fault
class PresenceGatewayRestarted(Watched):
    name, about, quick = "presence-restart-gateway", "kill -9 of one of two gateways, and another process of its name at once: only those who came back are there", True
    # the crowd of watchers may lie between two gateways for the time of their backoff
    settle_s = GRACE_S + MARGIN_S + 3

    async def inject(self, run):
        second = run.stack.gateways[1]
        there, old = await self.gather_on_second(run), second.process.pid
        await run.thread(second.kill)
        for person in there[::2]:
            await person.go(True)
        await run.thread(run.stack.second_gateways, 2)
        run.show(f"gateway 2, {old}, was killed with {len(there)} of them; its successor of the same name is {second.process.pid}")
