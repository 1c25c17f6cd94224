"""Requests one after the other at a steady rate, each timed from when it was due: of history by REST, and of Postgres itself."""

import math
import socket
import time
from urllib.parse import urlsplit

SPIN = 0.0003  # seconds before a request is due in which waking late would be the client's fault


class Rest:
    """One kept connection that speaks just enough HTTP: a general client takes longer than what it would measure."""

    def __init__(self, url, token):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tail = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def get(self, target):
        """The body of a 200"""
        self.socket.sendall(f"GET {target}{self.tail}".encode())
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._more()
        assert head.startswith("http/1.1 200"), data[:500]
        return data[end + 4:]

    def _more(self):
        data = self.socket.recv(1 << 20)
        assert data, "the server closed the connection"
        return data


class Statement:
    """A prepared statement whose rows are fetched whole and left as they are: libpq with nothing on top."""

    def __init__(self, db, name, sql):
        self.pg, self.name = db.pgconn, name.encode()
        self.pg.prepare(self.name, sql.encode())

    def rows(self, *values):
        result = self.pg.exec_prepared(self.name, [str(v).encode() for v in values], None, 1)
        assert result.error_message == b"", result.error_message
        return result.ntuples


def steady(request, arguments, rate):
    """request(argument) for each of them, `rate` a second. Seconds from when each was due until its answer was whole."""
    taken, begin = [], time.perf_counter() + 0.01
    for i, argument in enumerate(arguments):
        due = begin + i / rate
        if (left := due - time.perf_counter()) > SPIN:
            time.sleep(left - SPIN)
        while time.perf_counter() < due:
            pass
        request(argument)
        taken.append(time.perf_counter() - due)
    return taken


def percentile(values, q):
    return sorted(values)[min(len(values) - 1, math.ceil(q * len(values)) - 1)]
