"""A relay before nats-server that reads NATS' protocol, so that single messages can be lost, doubled, or come late. It runs on the thread of a Network."""

import asyncio
import contextlib

CHUNK = 4 << 20   # the longest line or message that it takes
MESSAGES = (b"PUB", b"HPUB", b"MSG", b"HMSG")


class Relay:
    """rule(up, subject, data) returns what to pass on instead of `data`, which is a whole message as it came; up: from the client to the server.
    None: all passes. It is called on the network's thread."""

    def __init__(self, network, host, port):
        self.network, self.target, self.rule = network, (host, port), None
        self._writers = set()
        self._server = network.call(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self):
        async def stop():
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
        self.network.call(stop())

    async def _serve(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, up_writer}
        self._writers |= both
        ways = [asyncio.create_task(self._pump(reader, up_writer, True)), asyncio.create_task(self._pump(up_reader, writer, False))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pump(self, reader, writer, up):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                words = line.split()
                if not words or words[0].upper() not in MESSAGES:
                    writer.write(line)
                else:
                    data = line + await reader.readexactly(int(words[-1]) + 2)
                    for out in self.rule(up, words[1].decode(), data) if self.rule else (data,):
                        writer.write(out)
                await writer.drain()
