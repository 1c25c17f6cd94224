"""Prints what is said in Parley's channels while it runs: python live.py [CHANNEL]"""

import asyncio
import os
import sys

import nats

from parley.v1.event_pb2 import Event


async def main(only=None):
    nc = await nats.connect(os.environ.get("PARLEY_NATS_URL", "nats://127.0.0.1:8422"))
    sub = await nc.subscribe("live.>")
    await nc.flush()
    print("listening", flush=True)
    async for msg in sub.messages:
        _, shard, channel = msg.subject.split(".")
        if shard == "user" or only not in (None, channel):  # live.user.<user> carries no events
            continue
        event = Event.FromString(msg.data)
        if event.WhichOneof("body") == "message":
            print(f"{msg.headers['Nats-Sequence']} {channel} {event.message.sender_name}: {event.message.content}", flush=True)


asyncio.run(main(*sys.argv[1:2]))
