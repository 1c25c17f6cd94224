"""Three nats-servers with three replicas: one lost, one cut off, all cut off from each other."""

import time

from fault import Fault, fault
from inject.cluster import NODES, ClusterStack
from support.stack import wait_until

LOG = "CHAT_0"
ELECTION_S = 15          # measured: 5 s, of which 4 are until the others miss the leader
LEAVES_S = 30            # until a gateway has left a server that is cut off: a leader knows after 10 s, 6 s more to be sure


WINDOW_MS = 30000        # more than the 20 s for which a leader may go on without a quorum (decision 0016)


class ClusterFault(Fault):
    # A message that was under way when a leader was lost can be stuck in the server's memory of ids, as long as that reaches (nats-server
    # before 2.11): a retry is then answered only behind it. 2 minutes of it by default.
    settings = {"PARLEY_DEDUPE_WINDOW_MS": WINDOW_MS}
    bound_s = 2 * WINDOW_MS // 1000   # that memory, from when it was sent, and as long again for elections and what waited: 3 to 7 s where nothing is stuck

    def new_stack(self, build):
        return ClusterStack(build=build, **self.settings)

    async def prepare(self, run):
        self.cluster = run.stack.cluster
        await run.thread(self.cluster.wait_in_step, LOG)

    async def elected(self, run, without, began):
        """Waits until one of the others leads."""
        rest = [i for i in NODES if i != without]
        new = await run.thread(wait_until, lambda: self.cluster.leader(LOG, rest), ELECTION_S, f"a leader of {LOG} other than n{without}")
        run.show(f"the leader n{without} is gone: n{new} leads after {time.monotonic() - began:.1f} s")

    async def goes_on(self, run, began, timeout):
        """Chat goes on while the fault lasts."""
        await run.load.traffic(40, timeout)
        run.show(f"messages are acked again {time.monotonic() - began:.1f} s after the fault, which lasts")

    async def heal(self, run):
        self.cluster.heal()
        await run.thread(run.stack.up)
        await run.thread(self.cluster.wait_in_step, LOG)

    async def clean(self, run):
        run.stack.cluster.heal()


@fault
class LeaderKilled(ClusterFault):
    name = "cluster-leader-killed"
    about = "kill -9 of the nats-server that leads the log, one of three; started again when another leads"

    async def inject(self, run):
        leader, began = self.cluster.leader(LOG), time.monotonic()
        await run.thread(self.cluster.kill, leader)
        await self.elected(run, leader, began)
        await self.goes_on(run, began, 20)


@fault
class FollowerKilled(ClusterFault):
    name = "cluster-follower-killed"
    about = "kill -9 of a nats-server that follows; started again after messages were stored without it"

    async def inject(self, run):
        leader, began = self.cluster.leader(LOG), time.monotonic()
        follower = run.random.choice([i for i in NODES if i != leader])
        await run.thread(self.cluster.kill, follower)
        await run.load.traffic(200, 30)
        assert follower not in self.cluster.running() and self.cluster.leader(LOG) == leader
        run.show(f"n{follower} was killed; 200 messages were acked without it within {time.monotonic() - began:.1f} s, n{leader} leads on")


@fault
class LeaderCut(ClusterFault):
    name = "cluster-leader-cut"
    about = "the server that leads the log, and that the gateway is connected to, is cut off from the two others, then healed"

    async def inject(self, run):
        home = self.cluster.connected("parley-gateway")[0]
        await run.thread(self.cluster.lead, LOG, home)
        began = time.monotonic()
        self.cluster.isolate(home)
        await self.elected(run, home, began)
        await run.thread(wait_until, lambda: self.cluster.connected("parley-gateway") not in ([], [home]), LEAVES_S, "the gateway has left")
        run.show(f"the gateway has left n{home} for n{self.cluster.connected('parley-gateway')[0]} after {time.monotonic() - began:.1f} s")
        await self.goes_on(run, began, 20)
        held = sum(p.held_bytes for p in self.cluster.proxies.values())
        assert held > 0, "nothing was held back between the servers"
        run.show(f"{held} bytes between the servers were held back")


@fault
class FollowerCut(ClusterFault):
    name = "cluster-follower-cut"
    about = "one of two gateways sits at a follower that is cut off: its clients go on within 30 s, the others do not notice"
    gateways = 2

    async def inject(self, run):
        homes = self.cluster.connected("parley-gateway")
        home = homes[0]
        leader = next(i for i in NODES if i != home)
        await run.thread(self.cluster.lead, LOG, leader)
        began = time.monotonic()
        self.cluster.isolate(home)
        await run.thread(wait_until, lambda: home not in self.cluster.connected("parley-gateway")
                         and len(self.cluster.connected("parley-gateway")) == 2, LEAVES_S, "no gateway is at the follower")
        run.show(f"gateways were at {homes}; nobody is at n{home}, which is cut off, after {time.monotonic() - began:.1f} s")
        assert self.cluster.leader(LOG, [i for i in NODES if i != home]) == leader
        await run.load.recovered(60)
        run.show(f"everybody has spoken and heard {time.monotonic() - began:.1f} s after the fault, which lasts")


@fault
class NoQuorum(ClusterFault):
    name = "cluster-no-quorum"
    about = "no server reaches another for 20 s: nothing is acked, nothing is lost, all goes on when they do"

    async def inject(self, run):
        began = time.monotonic()
        self.cluster.cut_all()
        await run.thread(wait_until, lambda: self.cluster.leader(LOG) is None, WINDOW_MS / 1000, "nobody leads, before ids are forgotten")
        run.show(f"nobody leads {time.monotonic() - began:.1f} s after the servers were cut off from each other")
        acked = len(run.load.acked())
        await run.pause(max(0, began + 20 - time.monotonic()))
        assert len(run.load.acked()) == acked, "something was acked without a quorum"
        run.show("nothing was acked without a quorum")
