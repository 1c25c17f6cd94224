"""Members who talk in channels at a steady rate, and outsiders who must not hear them."""

import asyncio
import random
import time
import uuid

import httpx

from .clients import AGAIN, Client, Refused
from .doors import Insider, Outsider
from .files import Files
from .history import History
from .record import Record

CHANNELS, MEMBERS = 3, 9
RATE = 40                 # mutations a second, all members together
PENDING_MAX = 100         # of one member: a gateway takes 256
PROBE_S = 2
ANSWER_S = 90             # behind the last fault, for what is under way


class Load:
    def __init__(self, doors, seed, rate=RATE, uploads=0):
        self.doors, self.random, self.rate = doors, random.Random(seed), rate
        self.record, self.run = Record(), uuid.uuid4().hex[:8]
        self.owner = f"owner-{self.run}"
        self.channels = [f"c{i}-{self.run}" for i in range(CHANNELS)]
        self.secrets = {c: f"secret of {c}" for c in self.channels}
        self.members, self.outsiders, self.insider, self.in_channel = [], [], None, {}
        self.history = History(doors, self.owner)
        self.files = {}             # channel -> id of a file that its members may read
        self.uploads = Files(self, random.Random(f"{seed} uploads"), uploads)
        self.own = {}               # (client, channel) -> messages that were acked and are nobody's target yet
        self.tasks, self.loops, self.stopping = set(), [], False

    # --- who is there ---

    async def prepare(self):
        """Channels with members, a stranger who was never in one, and somebody who was removed from all. In the last channel members see what
        happened while they were members, in the others everything."""
        n = len(self.doors.ws_urls)
        users = [self.owner] + [f"user{i}-{self.run}" for i in range(1, MEMBERS)]
        protocols = ["parley.v1.json", "parley.v1.json", "parley.v1.plain"]
        self.members = [Client(self.doors, u, self.record, first_url=i % n, protocol=protocols[i % 3]) for i, u in enumerate(users)]
        for i, channel in enumerate(self.channels):
            # the owner is in all, everybody else in all but one
            self.in_channel[channel] = [c for j, c in enumerate(self.members) if j == 0 or j % CHANNELS != i]
        removed = f"removed-{self.run}"
        await self.quiet()
        for channel in self.channels:
            await self.create(channel, [c.user for c in self.in_channel[channel][1:]] + [removed])
            await self.uploads.one(self.members[0], channel, cut=False, attach=False)
        for user in (f"stranger-{self.run}", removed):
            client = Client(self.doors, user, self.record)
            self.outsiders.append(Outsider(client, self.members[1].user, self.files))
        # the removed one is online and has spoken when he is removed
        await self.outsiders[1].client.start()
        for channel in self.channels:
            await self.outsiders[1].client.send(channel, "before I was removed")
            await self.remove(channel, removed)
        for outsider in self.outsiders:
            outsider.client.secrets = self.secrets
        self.insider = Insider(self.members[0], self.members[1].user, self.files)
        await self.outsiders[0].client.start()
        await asyncio.gather(*(c.start() for c in self.members))
        await asyncio.gather(*(o.share_nothing() for o in self.outsiders))

    async def rest(self, method, path, **json):
        async with httpx.AsyncClient(base_url=self.doors.rest_url, timeout=20,
                                     headers={"Authorization": f"Bearer {self.doors.token(self.owner)}"}) as rest:
            return await rest.request(method, path, json=json or None)

    def note_member(self, channel, user, op, status=0):
        self.record.add(self.owner, 0, "member", channel=channel, user_id=user, op=op, status=status)

    async def quiet(self):
        """For some seconds a gateway that was killed counts as one, and changes are answered 202: waits until they are answered 201."""
        deadline, i = time.monotonic() + 30, 0
        while (answer := await self.rest("POST", "/api/channels", id=f"try{i}-{self.run}", name="try", kind="private")).status_code != 201:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no channel can be made: {answer.status_code} {answer.text}")
            i += 1
            await asyncio.sleep(0.2)  # a poll with a deadline

    async def create(self, channel, users):
        visibility = "joined" if channel == self.channels[-1] else "all"
        self.record.add(self.owner, 0, "member", channel=channel, user_id=self.owner, op="create", status=0, visibility=visibility)
        for user in [self.owner, *users]:
            self.note_member(channel, user, "add")
        answer = await self.rest("POST", "/api/channels", id=channel, name=channel, kind="private", members=users,
                                 historyVisibility=visibility)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        for user in [self.owner, *users]:
            self.note_member(channel, user, "add", answer.status_code)

    async def add(self, channel, user):
        self.note_member(channel, user, "add")
        answer = await self.rest("POST", f"/api/channels/{channel}/members", userId=user)
        self.note_member(channel, user, "add", answer.status_code)
        return answer.status_code

    async def remove(self, channel, user):
        """204 says that it is in force: nothing may come from then on."""
        self.note_member(channel, user, "remove")
        answer = await self.rest("DELETE", f"/api/channels/{channel}/members/{user}")
        self.note_member(channel, user, "remove", answer.status_code)
        assert answer.status_code == 204, f"{answer.status_code} {answer.text}"

    # --- talking ---

    def start(self):
        self.stopping = False
        uploads = [asyncio.create_task(self.uploads.talk())] if self.uploads.rate else []
        self.loops = [asyncio.create_task(self._talk()), *uploads, *(asyncio.create_task(self._probe(o)) for o in self.outsiders)]

    async def stop(self):
        """Ends the talk and waits for what is under way. What has no answer then is given up; the record shows it, and the rest is still proven."""
        self.stopping = True
        await asyncio.gather(*self.loops)
        if self.tasks:
            _, late = await asyncio.wait(set(self.tasks), timeout=ANSWER_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def close(self):
        self.stopping = True
        for task in [*self.tasks, *self.loops]:
            task.cancel()
        await asyncio.gather(*self.tasks, *self.loops, return_exceptions=True)
        await asyncio.gather(*(c.close() for c in self.members), *(o.client.close() for o in self.outsiders))
        await asyncio.gather(self.history.close(), self.uploads.close(), *(o.close() for o in self.outsiders), *([self.insider.close()] if self.insider else []))

    def spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.record.add("run", 0, "fatal", code=0, reason=repr(task.exception()))

    async def _talk(self):
        """An open loop: a mutation every 1/rate s, whatever became of those before."""
        n, began = 0, time.monotonic()
        while not self.stopping:
            channel = self.random.choice(self.channels)
            client = self.random.choice(self.in_channel[channel])
            if client.pending < PENDING_MAX:
                self.spawn(self._mutate(client, channel))
            n += 1
            await asyncio.sleep(max(0, began + n / self.rate - time.monotonic()))  # the schedule of an open loop

    def text(self, channel, source=None):
        source = source or self.random
        return f"{self.secrets[channel]} {source.getrandbits(48):x} ä𝄞 " + "x" * source.choice((0, 20, 300))

    async def _mutate(self, client, channel):
        """A message, or an edit or deletion of one of one's own that nothing else is done to."""
        own, kind = self.own.setdefault((client, channel), []), self.random.random()
        if kind < 0.8 or not own:
            ack = await client.send(channel, self.text(channel), self.id_from_elsewhere(client, channel) if kind < 0.05 else None)
        else:
            seq = own.pop(self.random.randrange(len(own)))
            if kind < 0.95:
                ack = await client.edit(channel, seq, self.text(channel)) and {"seq": seq}
            else:
                await client.delete(channel, seq)
                return
        if ack:
            own.append(ack["seq"])

    def id_from_elsewhere(self, client, channel):
        """An id that the same user gave to something in another channel: here it is another message."""
        used = {(e.channel, e.id) for e in self.record.of("intend") if e.user == client.user}
        elsewhere = sorted(id for c, id in used if c != channel and (channel, id) not in used)
        return self.random.choice(elsewhere) if elsewhere else None

    async def _probe(self, outsider):
        while not self.stopping:
            channel = self.random.choice(self.channels)
            await outsider.try_all(channel, self.last_said()[channel])
            await asyncio.sleep(PROBE_S)  # how often the doors are tried

    async def prove_doors(self):
        """A door that only said that the server is in trouble was not closed: now each has to say so, and to let a member in."""
        said = self.last_said()

        async def rounds(who):
            for channel in self.channels:
                await who.prove_all(channel, said[channel])
        await asyncio.gather(*(rounds(who) for who in [*self.outsiders, self.insider]))

    # --- what became of it ---

    def acked(self):
        return self.record.of("ack")

    def last_acked(self):
        last = {}
        for ack in self.record.of("ack"):
            last[ack.channel] = max(last.get(ack.channel, 0), ack.seq or 0)
        return last

    def last_said(self):
        """The newest message of each channel that was acked: what a member can read."""
        sends, last = {(e.channel, e.user, e.id) for e in self.record.of("intend") if e.op == "send"}, {}
        for ack in self.record.of("ack"):
            if (ack.channel, ack.user, ack.asked) in sends:
                last[ack.channel] = max(last.get(ack.channel, 0), ack.seq or 0)
        return last

    async def traffic(self, n, timeout=60):
        """Waits until n more mutations were acked."""
        goal, deadline = len(self.acked()) + n, time.monotonic() + timeout
        while len(self.acked()) < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {n} acks within {timeout} s")
            await asyncio.sleep(0.05)  # a poll with a deadline

    async def everybody_is_there(self, timeout=30):
        """Waits until each client has a session. Some faults start a gateway anew before they begin."""
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(c.online.wait() for c in [*self.members, *(o.client for o in self.outsiders)]))

    async def recovered(self, timeout):
        """Waits until everybody has spoken in each of his channels, everybody has heard it, and history has it."""
        turns = [self.spawn(c.send(ch, self.text(ch))) for ch in self.channels for c in self.in_channel[ch]]
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(asyncio.shield(t) for t in turns))
            goal = self.last_acked()
            for channel in self.channels:
                for client in self.in_channel[channel]:
                    await client.until(lambda: client.views.whole(channel, goal[channel]), timeout, f"{channel} through {goal[channel]}")
                while await self.history.through(channel) < goal[channel]:
                    await asyncio.sleep(0.1)  # a poll with a deadline

    async def ask_again(self, n=12):
        """Sends some of what was acked again, from long ago and just now: the answers must be the same."""
        intents = {(e.channel, e.user, e.id): e for e in self.record.of("intend")}
        acks = [a for a in self.acked() if (a.channel, a.user, a.asked) in intents]
        by_user = {(channel, c.user): c for channel in self.channels for c in self.in_channel[channel]}
        acks = [a for a in acks if (a.channel, a.user) in by_user]
        picked = {a.asked: a for a in [*acks[-3:], *self.random.sample(acks, min(n - 3, len(acks)))]}
        for ack in picked.values():
            client, intent = by_user[ack.channel, ack.user], intents[ack.channel, ack.user, ack.asked]
            for _ in range(50):
                try:
                    await client.again(intent)
                    break
                except Refused as error:
                    if error.code not in AGAIN:
                        client.note("refused", id=ack.asked, channel=ack.channel, code=error.code)
                        break
                    await asyncio.sleep(max(error.retry_ms, 50) / 1000)  # the server's own hint
            else:
                client.note("unanswered", id=ack.asked, channel=ack.channel, op=intent.op)

    async def finish(self):
        """Everybody's view, and what history has: what the invariants are about."""
        goal = self.last_acked()

        async def whole(client, channel):
            try:
                await client.until(lambda: client.views.whole(channel, goal.get(channel, 0)), 30, channel)
            except TimeoutError:
                pass  # the view says that it is not whole, and that is a violation
        await asyncio.gather(*(whole(client, channel) for channel in self.channels for client in self.in_channel[channel]))
        for client in self.members:
            client.views.describe()
        await self.uploads.finish()
        return {channel: await self.history.read(channel) for channel in self.channels}
