"""Gateways that come and go under load, and users who are on several."""

import asyncio
import uuid

from checker.clients import Client
from checker.invariants import Violation
from fault import Fault, fault
from support.stack import SERVICES


class TwoGateways(Fault):
    gateways = 2

    async def clean(self, run):
        await run.thread(run.stack.second_gateways, 2)


@fault
class Drain(TwoGateways):
    name, about, quick = "drain-gateway", "SIGTERM of one of two gateways under load: its clients are sent to the other", True

    async def inject(self, run):
        second = run.stack.gateways[1]
        there = [c for c in run.load.members if c.connected_to == second.ws_url]
        run.mends_itself()
        code = await run.thread(second.stop)
        await run.load.traffic(50)
        hints = {e.client for e in run.record.of("reconnect")}
        closed = {e.client for e in run.record.of("closed") if e.code == 1012}
        if code != 0 or not there or {c.name for c in there} - (hints & closed):
            raise RuntimeError(f"the gateway ended with {code}; of {len(there)} clients {len(hints)} were asked to reconnect and {len(closed)} closed with 1012")
        run.show(f"the second gateway ended with 0 and sent {len(there)} clients away (reconnect, 1012)")

    async def heal(self, run):
        await run.thread(run.stack.second_gateways, 2)


@fault
class KillOneOfTwo(TwoGateways):
    name, about = "kill-one-of-two", "kill -9 of one of two gateways: its clients go on at the other"

    async def inject(self, run):
        second = run.stack.gateways[1]
        there = [c for c in run.load.members if c.connected_to == second.ws_url]
        pid = second.process.pid
        run.mends_itself()
        await run.thread(second.kill)
        await run.load.traffic(100)
        if not there or any(c.connected_to == second.ws_url for c in there):
            raise RuntimeError("nobody was on the second gateway")
        run.show(f"gateway {pid} was killed with {len(there)} clients")

    async def heal(self, run):
        await run.thread(run.stack.second_gateways, 2)


@fault
class RollingRestart(TwoGateways):
    name, about, bound_s = "rolling-restart", "every part stopped in the orderly way and started again, one after the other", 30

    async def inject(self, run):
        for part in (*SERVICES, "nats-server", "postgres", "nginx"):
            old = run.stack.pid(part)
            await run.thread(run.stack.stop, part)
            await run.thread(run.stack.start, part)
            run.show(f"{part} {old} is now {run.stack.pid(part)}")
            await run.load.traffic(30)
        second = run.stack.gateways[1]
        old = second.process.pid
        run.mends_itself()
        code = await run.thread(second.stop)
        await run.thread(second.start)
        run.show(f"gateway 2 {old} ended with {code} and is now {second.process.pid}")

    async def clean(self, run):
        await run.thread(run.stack.up)
        await super().clean(run)


@fault
class OneUserOnBoth(TwoGateways):
    name, about, quick = "one-user-on-both", "users with a device on each of two gateways, who send one id through both at once, and lose connections", True
    ROUNDS = 40

    async def prepare(self, run):
        load, self.pairs = run.load, []
        for first in load.members[1:4]:
            at = 1 if first.urls[0] == load.doors.ws_urls[0] else 0
            second = Client(load.doors, first.user, load.record, device="second", first_url=at)
            await second.start()
            if first.connected_to == second.connected_to:
                raise RuntimeError("both devices are on one gateway")
            self.pairs.append((first, second))
            load.members.append(second)
            for channel, there in load.in_channel.items():
                if first in there:
                    there.append(second)

    async def inject(self, run):
        load, twice = run.load, 0
        for i in range(self.ROUNDS):
            first, second = run.random.choice(self.pairs)
            channel = run.random.choice([c for c in load.channels if first in load.in_channel[c]])
            id, text = str(uuid.uuid4()), load.text(channel)
            if i % 8 == 7:
                run.mends_itself()
                run.random.choice((first, second)).cut()
            acks = await asyncio.gather(first.send(channel, text, id), second.send(channel, text, id))
            twice += {a["duplicate"] for a in acks} == {False, True}
        cut = len([e for e in run.record.of("closed") if e.client in {c.name for pair in self.pairs for c in pair}])
        if not twice or not cut:
            raise RuntimeError(f"{twice} ids were recognised, {cut} connections cut")
        run.show(f"{twice} of {self.ROUNDS} ids sent through both gateways were acked once as new and once as known; {cut} connections were cut")

    async def verify(self, run):
        conns = {e.client for e in run.record.of("live")}
        return [Violation("L", f"{c.name} never heard a thing") for pair in self.pairs for c in pair if c.name not in conns]


@fault
class CutConnections(Fault):
    name, about, quick = "cut-connections", "every client loses its connection without a close, five times", True

    async def inject(self, run):
        for _ in range(5):
            run.mends_itself()
            for client in run.load.members:
                client.cut()
            await run.load.traffic(60)
        lost = [e for e in run.record.of("closed")]
        run.show(f"{len(lost)} connections were cut")
        if len(lost) < 2 * len(run.load.members):
            raise RuntimeError(f"only {len(lost)} connections were cut")
