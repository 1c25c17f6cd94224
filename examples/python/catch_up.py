"""Reads Parley's log from where it stopped the last time, and goes on: python catch_up.py [NAME]

NAME is the durable consumer; NATS remembers for each name what was acknowledged. With PARLEY_ONCE=1 it ends at the end of the log.
"""

import asyncio
import os
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from parley.v1.event_pb2 import Event


async def main(name="catch-up"):
    nc = await nats.connect(os.environ.get("PARLEY_NATS_URL", "nats://127.0.0.1:8422"))
    # One batch at a time, acknowledged as a whole within 5 s or delivered again: never out of order
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=100, ack_wait=5)
    sub = await nc.jetstream().pull_subscribe("chat.0.>", durable=name, stream="CHAT_0", config=config)
    pending = (await sub.consumer_info()).num_pending
    while pending or not os.environ.get("PARLEY_ONCE"):
        try:
            batch = await sub.fetch(100, timeout=5)
        except nats.errors.TimeoutError:
            continue
        for msg in batch:
            event = Event.FromString(msg.data)
            print(msg.metadata.sequence.stream, event.channel_id, event.WhichOneof("body"), event.id, flush=True)
        await batch[-1].ack_sync()  # what was printed is done: after a crash it goes on here
        pending = batch[-1].metadata.num_pending
    await nc.close()


asyncio.run(main(*sys.argv[1:2]))
