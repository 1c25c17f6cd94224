"""Members who are removed while much is said."""

import asyncio

from checker.history import History
from checker.invariants import Case, Violation, within
from fault import Fault, fault


@fault
class RemovedInABurst(Fault):
    name, about, quick, rate = "removed-in-a-burst", "members are removed while 150 messages/s run, two of them come back, one does not", True, 150
    settings = {"PARLEY_RATE_LIMITS": "off"}
    channel = 0

    async def inject(self, run):
        load, channel, self.wrong = run.load, run.load.channels[self.channel], []
        leavers = run.random.sample(load.in_channel[channel][1:], 3)
        for i, client in enumerate(leavers):
            load.in_channel[channel].remove(client)  # he says nothing more by himself, but what is under way
            under_way = [asyncio.ensure_future(client.send(channel, load.text(channel))) for _ in range(20)]
            before = len(run.record.entries)
            run.mends_itself()
            await load.remove(channel, client.user)
            refused = load.spawn(client.send(channel, load.text(channel)))
            await load.traffic(100)
            await asyncio.gather(*under_way, refused)
            entries = run.record.entries[before:]
            heard = sum(e.kind == "live" and e.event["channelId"] == channel for e in entries)
            mine = [e for e in entries if e.client == client.name and e.kind == "live" and e.event["channelId"] == channel]
            told = any(e.client == client.name and e.kind == "removed" for e in entries)
            not_a_member = sum(e.client == client.name and e.kind == "refused" and e.code == "not_a_member" for e in entries)
            if heard < 100:
                raise RuntimeError(f"only {heard} deliveries in the burst")
            if not told or not not_a_member:
                self.wrong.append(f"{client.name} was removed, and told of it: {told}; of what he sent then {not_a_member} was refused")
            run.show(f"{client.name} was removed: got {len(mine)} of {heard} deliveries since, {not_a_member} of his messages were refused")
            if i < 2:
                await load.add(channel, client.user)
                await client.until(lambda c=client: c.views[channel].member, 20, "to be a member again")
                load.in_channel[channel].append(client)

    async def verify(self, run):
        return [Violation("Z", what) for what in self.wrong]


@fault
class AbsentWhereItIsHidden(RemovedInABurst):
    name, about, quick = "absent-and-back", "the same in a channel that shows to members only what happened while they were members", True
    channel = -1

    async def verify(self, run):
        """What those who came back find on the pages of history."""
        load, channel, found = run.load, run.load.channels[self.channel], await super().verify(run)
        case = Case(run.record, {channel: await load.history.read(channel)})
        absent = [c for c in load.in_channel[channel] if case.hidden(channel, c.user)]
        if len(absent) != 2:
            raise RuntimeError(f"{len(absent)} members were absent and came back")
        for client in absent:
            reader = History(load.doors, client.user)
            pages = await reader.read(channel)
            await reader.close()
            seen = [e["seq"] for e in pages["events"] if "removed" not in e] + [m["seq"] for m in pages["messages"]]
            found += [Violation("Z", f"{client.name} finds {channel}/{s} in history, of his absence") for s in seen if within(s, case.hidden(channel, client.user))]
        return found
