"""An open-loop load of HTTP requests: each leaves at a time that is fixed before the first one does, whatever the server does."""

import collections
import gc
import select
import socket
import time

CONNECT_S, SETTLE_S = 5, 10  # to connect; for the last answers, counted from the last request


class Connection:
    """One that stays, with at most one request under way."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, CONNECT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due, self.heard = None, b""

    def fileno(self):
        return self.socket.fileno()

    def ask(self, due, request):
        self.due, self.heard = due, b""
        self.socket.sendall(request)  # a few hundred bytes, and nothing else under way: it does not block

    def answer(self):
        """The status once the answer is whole, else None."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionResetError("the server closed a connection in the middle of a load")
        self.heard += piece
        head, found, body = self.heard.partition(b"\r\n\r\n")
        if not found:
            return None
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split(b" ", 2)[1]) if len(body) >= length else None


class Requests:
    """`with Requests(address, conns) as requests: requests.run(list of bytes, rate)`; connections are used in turn."""

    def __init__(self, address, conns):
        self.connections = [Connection(address) for _ in range(conns)]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for connection in self.connections:
            connection.socket.close()

    def run(self, requests, rate, warmup=0.5):
        """What is sent in the first `warmup` seconds counts for statuses, not for percentiles. Latencies are from the intended times."""
        idle, waiting, busy = collections.deque(self.connections), collections.deque(requests), set()
        statuses, times, began = collections.Counter(), [], time.monotonic() + 0.01
        collecting = gc.isenabled()
        gc.disable()  # its pauses would be the server's
        try:
            sent, last = 0, began + len(requests) / rate + SETTLE_S
            while (waiting or busy) and time.monotonic() < last:
                sent += self._send(began, rate, sent, waiting, idle, busy)
                due = began + sent / rate if waiting and idle else last
                for connection in select.select(busy, (), (), max(0, due - time.monotonic()))[0]:
                    status = connection.answer()
                    if status is not None:
                        now = time.monotonic()
                        statuses[status] += 1
                        if connection.due >= began + warmup:
                            times.append(now - connection.due)
                        busy.remove(connection)
                        idle.append(connection)
        finally:
            if collecting:
                gc.enable()
        return {"sent": sent, "statuses": statuses, "seconds": time.monotonic() - began, **percentiles(times)}

    @staticmethod
    def _send(began, rate, sent, waiting, idle, busy):
        """All that is due and finds a connection; how many."""
        n = 0
        while waiting and idle and began + (sent + n) / rate <= time.monotonic():
            connection = idle.popleft()
            connection.ask(began + (sent + n) / rate, waiting.popleft())
            busy.add(connection)
            n += 1
        return n


def percentiles(seconds):
    """In milliseconds, as Result has them."""
    ordered = sorted(seconds)
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else None
            for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))}
