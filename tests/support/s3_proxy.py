"""A proxy before an S3 server that answers for it, breaks its answers or loses them."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>of the proxy</Message></Error>'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in self.server.proxy.without:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def broken(self, mode):
        if mode == "503":
            self.answer(503, b"<html>busy</html>")
        elif mode == "500":
            self.answer(500, ERROR.format("InternalError").encode())
        elif mode == "slowdown":
            self.answer(503, ERROR.format("SlowDown").encode())
        elif mode == "conflict":
            self.answer(409, ERROR.format("ConditionalRequestConflict").encode())
        elif mode == "denied":
            self.answer(403, ERROR.format("AccessDenied").encode())
        elif mode == "empty":
            self.answer(206, b"")
        elif mode == "reset":
            self.close_connection = True
        elif self.command == "HEAD":
            self.answer(404, b"")  # so that what comes next is asked for: these faults are in bodies
        elif mode == "garbage":
            self.answer(200, b"\x00\xff<ListPartsResult><Part>" * 10)
        elif mode == "truncated":
            self.answer(200, b"<ListPartsResult><IsTruncated>false</IsTruncated>", length=100_000)
            self.close_connection = True
        elif mode == "huge":
            try:
                self.answer(200, b"<ListPartsResult>" + b"<x>" * (20 << 20))
            except OSError:
                pass  # nobody reads that much
            self.close_connection = True
        elif mode == "late-error":
            self.answer(200, ERROR.format("InternalError").encode())
        else:
            raise AssertionError(mode)

    def serve(self):
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = proxy.next_mode(self.command)
        if mode:
            self.broken(mode)
            return
        server = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)  # Host too: it is signed
        server.endheaders(body)
        answer = server.getresponse()
        data = answer.read()
        length = answer.getheader("Content-Length")
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server", *proxy.without)]
        server.close()
        proxy.hold(self.command)
        if proxy.lose(self.command):
            self.close_connection = True
            return
        self.answer(answer.status, data, headers, length=int(length) if length and self.command == "HEAD" else None)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve


class Proxy:
    def __init__(self, port):
        self.port, self.mode, self.failed, self.lost = port, None, 0, 0
        self.lock, self.plan, self.losing = threading.Lock(), [], ()
        self.only = None   # the method that `mode` and `fail_next` are for; None: all
        self.without = ()  # headers that answers do not have, in lower case
        self.holding, self.held, self.go_on = None, threading.Event(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.proxy = True, self
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def fail_next(self, n, mode):
        with self.lock:
            self.plan, self.failed = [mode] * n, 0

    def lose_answer_of(self, methods):
        """The next request of one of these reaches the server, and its answer nobody"""
        with self.lock:
            self.losing, self.lost = methods, 0

    def hold_next(self, method):
        """The answer to the next request of this method waits, after `held` is set, for `go_on`"""
        self.held.clear()
        self.go_on.clear()
        self.holding = method

    def hold(self, method):
        with self.lock:
            if method != self.holding:
                return
            self.holding = None
        self.held.set()
        assert self.go_on.wait(30)

    def next_mode(self, method):
        with self.lock:
            if self.only not in (None, method):
                return None
            if self.plan:
                self.failed += 1
                return self.plan.pop()
            return self.mode

    def lose(self, method):
        with self.lock:
            if method not in self.losing:
                return False
            self.losing, self.lost = (), self.lost + 1
            return True

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
