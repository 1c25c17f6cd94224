"""A TCP proxy that can be told to behave like a bad network. It runs on a thread of its own, so that it also works while a test is blocked."""

import asyncio
import contextlib
import threading

CHUNK = 65536


class Network:
    """The loop and the thread that proxies run on. Close it last."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self.proxies = []

    def proxy(self, host, port, listen_port=0):
        proxy = Proxy(self, host, port, listen_port)
        self.proxies.append(proxy)
        return proxy

    def call(self, coroutine, timeout=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self):
        for proxy in self.proxies:
            proxy.close()

        async def end():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Proxy:
    """One address that stands for another. Modes:

    pass     bytes go through
    silent   nothing goes through, and connections stay: as if packets were dropped. What was sent meanwhile arrives later, as TCP does it
    refuse   open connections are reset, new ones too
    """

    def __init__(self, network, host, port, listen_port=0):
        self.network, self.target = network, (host, port)
        self.mode = "pass"
        self.accepted = 0           # connections ever
        self.cut = 0                # connections that were reset by refuse()
        self.held_bytes = 0         # bytes that silence held back
        self.delay_s = 0.0          # before each chunk, one way
        self.bytes_per_s = 0        # 0: no limit; the way back to the client
        self._open = asyncio.Event()
        self._links = set()
        self._server = network.call(self._listen(listen_port))
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen(self, port):
        self._open.set()
        return await asyncio.start_server(self._serve, "127.0.0.1", port, limit=CHUNK)

    # --- modes ---

    def passes(self):
        self._set("pass")

    def silent(self):
        self._set("silent")

    def refuse(self):
        self._set("refuse")

    def _set(self, mode):
        async def change():
            self.mode = mode
            if mode == "silent":
                self._open.clear()
            else:
                self._open.set()
            if mode == "refuse":
                for writers in list(self._links):
                    self.cut += 1
                    for writer in writers:
                        writer.transport.abort()
        self.network.call(change())

    @property
    def connections(self):
        return len(self._links)

    def close(self):
        async def stop():
            self._open.set()
            self.mode = "refuse"
            self._server.close()
            for writers in list(self._links):
                for writer in writers:
                    writer.transport.abort()
        self.network.call(stop())

    # --- bytes ---

    async def _serve(self, reader, writer):
        if self.mode == "refuse":
            writer.transport.abort()
            return
        self.accepted += 1
        await self._open.wait()
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            writer.transport.abort()
            return
        link = (writer, up_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(reader, up_writer, 0), self._pump(up_reader, writer, self.bytes_per_s))
        finally:
            self._links.discard(link)
            for each in link:
                each.transport.abort()

    async def _pump(self, reader, writer, rate):
        with contextlib.suppress(OSError):
            while data := await reader.read(rate or CHUNK):
                if not self._open.is_set():
                    self.held_bytes += len(data)
                    await self._open.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if rate:
                    await asyncio.sleep(len(data) / rate)
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
