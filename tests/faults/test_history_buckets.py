"""MEMBERS and CHANNELS when what NATS kept is gone, or is older than PostgreSQL: written again from there."""

import asyncio
import subprocess
import time

from nats.js.errors import NotFoundError
from support.log import Log
from support.stack import wait_until


async def bucket_has(stack, user, channels):
    """Waits until the buckets say that these channels are, and that the user is in exactly these."""
    async with Log(stack) as log:
        deadline = time.monotonic() + 30
        while True:
            there, known = set(), set()
            try:
                memberships, _ = await log.memberships(user)
                there = {m.channel_id for m in memberships.memberships if m.role} if memberships else there
                known = {channel for channel in channels if (await log.channel(channel))[0]}
            except NotFoundError:
                pass  # the bucket itself is not made again yet
            if there >= set(channels) and known == set(channels):
                return
            assert time.monotonic() < deadline, (there, known)
            await asyncio.sleep(0.1)  # a poll with a deadline


def may_upload(stack, user, channel):
    with stack.rest(user) as rest:
        return rest.post("/api/uploads", json={"channelId": channel, "name": "a.txt", "size": 5, "contentType": "text/plain"}).status_code == 201


async def test_the_store_is_lost(own_stack):
    """As a volume that is gone. Who asks the buckets, as upload and presence do, must not take members for strangers."""
    stack = own_stack()
    channels = [stack.channel("ada", members=["bob"]) for _ in range(3)]
    await bucket_has(stack, "bob", channels)
    stack.kill("nats-server")
    subprocess.run(["rm", "-rf", str(stack.run_dir / "nats")], check=True)
    stack.start("nats-server")
    await bucket_has(stack, "bob", channels)
    await asyncio.to_thread(wait_until, lambda: may_upload(stack, "bob", channels[0]), 30, "bob may upload")


async def test_the_store_is_older(own_stack):
    """As after a restored volume: JetStream ends before what PostgreSQL has, and so do the buckets."""
    stack = own_stack()
    first = stack.channel("ada", members=["bob"])
    await bucket_has(stack, "bob", [first])
    stack.kill("nats-server")
    store = stack.run_dir / "nats"
    subprocess.run(["cp", "-a", str(store), str(store) + ".then"], check=True)
    stack.start("nats-server")
    second = stack.channel("ada", members=["bob"])
    await bucket_has(stack, "bob", [first, second])
    stack.stop("history")
    stack.kill("nats-server")
    subprocess.run(["rm", "-rf", str(store)], check=True)
    subprocess.run(["mv", str(store) + ".then", str(store)], check=True)
    stack.start("nats-server")
    stack.start("history")
    await bucket_has(stack, "bob", [first, second])
