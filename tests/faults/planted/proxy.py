"""A proxy for WebSocket and HTTP that hands every frame and every page to a plant, which may change, drop or add."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import jwt
import websockets

PASSED_ON = ("content-type", "retry-after", "location")
KEPT = ("host", "connection", "authorization", "content-length", "accept-encoding")


def user_of(token):
    return jwt.decode(token, options={"verify_signature": False})["sub"]


class Session:
    """One client's connection, and the one to the gateway that belongs to it."""

    def __init__(self, down, up):
        self.down, self.up, self.user = down, up, None
        self.end = "\n" if down.subprotocol == "parley.v1.json" else ""

    async def tell(self, frame):
        await self.down.send(json.dumps(frame) + self.end)

    async def ask(self, frame):
        await self.up.send(json.dumps(frame) + self.end)


class Proxy:
    def __init__(self, rest_url, ws_url, plant):
        self.rest_url, self.upstream, self.plant = rest_url, ws_url, plant
        self.sessions = []

    async def start(self):
        self._server = await websockets.serve(self._serve, "127.0.0.1", 0, max_size=None, compression=None, ping_interval=None,
                                              select_subprotocol=lambda _, offered: offered[0] if offered else None)
        self.ws_url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.http_url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()
        await asyncio.to_thread(self._http.shutdown)
        self._http.server_close()

    def session(self, user):
        return next(s for s in reversed(self.sessions) if s.user == user)

    async def _serve(self, down):
        async with websockets.connect(self.upstream, subprotocols=[down.subprotocol] if down.subprotocol else None, max_size=None,
                                      compression=None, ping_interval=None) as up:
            session = Session(down, up)
            self.sessions.append(session)
            ways = [asyncio.create_task(self._from_client(session)), asyncio.create_task(self._from_server(session))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                await down.close(up.close_code or 1000)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                self.sessions.remove(session)

    async def _from_client(self, session):
        async for data in session.down:
            for line in data.splitlines():
                frame = json.loads(line)
                if frame["type"] == "hello":
                    session.user = user_of(frame["token"])
                for out in await self.plant.to_server(session, frame):
                    await session.ask(out)

    async def _from_server(self, session):
        async for data in session.up:
            for line in data.splitlines():
                if line:
                    for out in await self.plant.to_client(session, json.loads(line)):
                        await session.tell(out)


def handler(proxy):
    upstream = httpx.Client(base_url=proxy.rest_url, timeout=20)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def forward(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            token, user = self.headers.get("authorization", "").removeprefix("Bearer "), None  # a signed request has none
            headers = {k: v for k, v in self.headers.items() if k.lower() not in KEPT}
            if token:
                user = user_of(token)
                headers["authorization"] = "Bearer " + proxy.plant.token(user, token, self.command, self.path)
            answer = upstream.request(self.command, self.path, content=body, headers=headers)
            content = answer.content
            if answer.status_code == 200 and user:
                content = json.dumps(proxy.plant.page(user, self.path, answer.json())).encode()
            self.send_response(answer.status_code)
            for name in PASSED_ON:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            if answer.status_code != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if answer.status_code != 204:
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    return Handler
