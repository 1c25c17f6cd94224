"""Bad input gets a clear error that names it; only protocol violations close the connection; nobody else notices."""

import asyncio
import json
import socket
import struct
import time
import uuid

import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric import rsa
from support.client import Client, Refused
from support.stack import wait_until


def send(**change):
    message = {"id": str(uuid.uuid4()), "content": "x", **change.pop("message", {})}
    frame = {"type": "send", "channelId": "general", "message": {k: v for k, v in message.items() if v is not None}}
    return {**frame, **change}


# what is sent, the code of the answer, and what its text must name
BAD_FRAMES = {
    "unknown type": ({"type": "dance"}, "unknown_type", "dance"),
    "no type": ({"channelId": "general"}, "unknown_type", "type"),
    "unknown field": (send(colour="red"), "bad_request", "colour"),
    "missing message": ({"type": "send", "channelId": "general"}, "bad_request", "message"),
    "missing id": (send(message={"id": None}), "bad_request", "id"),
    "id is no UUID": (send(message={"id": "42"}), "bad_request", "id"),
    "content is a number": (send(message={"content": 5}), "bad_request", "content"),
    "content is an object": (send(message={"content": {}}), "bad_request", "content"),
    "empty content": (send(message={"content": ""}), "bad_request", "content"),
    "too much content": (send(message={"content": "x" * (16 * 1024 + 1)}), "too_large", "content"),
    "a NUL": (send(message={"content": "a\0b"}), "bad_request", "content"),
    "type system": (send(message={"type": "system"}), "bad_request", "type"),
    "type unknown": (send(message={"type": "poem"}), "bad_request", "type"),
    "channel with a dot": (send(channelId="a.b"), "bad_request", "channelId"),
    "channel star": (send(channelId="*"), "bad_request", "channelId"),
    "channel >": (send(channelId=">"), "bad_request", "channelId"),
    "channel space": (send(channelId="a b"), "bad_request", "channelId"),
    "channel of 65": (send(channelId="a" * 65), "bad_request", "channelId"),
    "channel empty": (send(channelId=""), "bad_request", "channelId"),
    "not a member": (send(channelId="somebody-elses"), "not_a_member", "somebody-elses"),
    "edit of nothing": ({"type": "edit", "channelId": "general", "id": str(uuid.uuid4()), "targetSeq": 0, "content": "x"},
                        "bad_request", "targetSeq"),
    "edit of a far message": ({"type": "edit", "channelId": "general", "id": str(uuid.uuid4()), "targetSeq": 2**50,
                               "content": "x"}, "not_found", "target"),
    "seq not a number": ({"type": "delete", "channelId": "general", "id": str(uuid.uuid4()), "targetSeq": "many"},
                         "bad_request", "targetSeq"),
    "negative seq": ({"type": "delete", "channelId": "general", "id": str(uuid.uuid4()), "targetSeq": -1},
                     "bad_request", "targetSeq"),
    "too many mentions": (send(message={"mentions": ["u%d" % i for i in range(1000)]}), "bad_request", "mentions"),
    "thread is no UUID": (send(message={"threadId": "x"}), "bad_request", "threadId"),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_bad_frame(stack, name):
    frame, code, names = BAD_FRAMES[name]
    async with Client(stack, "ada") as ada:
        with pytest.raises(Refused) as refused:
            await ada.request(frame)
        assert refused.value.code.startswith(code), str(refused.value)
        assert names in refused.value.message, str(refused.value)
        # the session goes on
        assert (await ada.send("general", "still here"))["seq"] > 0


BAD_JSON = {
    "no end": "{", "a list": "[]", "null": "null", "a string": '"x"', "half an object": '{"type":"ping"', "no JSON": "nonsense",
    "negative ref": '{"type":"ping","ref":-1}', "open braces": "{" * 50, "lone surrogate": json.dumps(send(message={"content": "\ud800"})),
    "too deep": '{"a":' * 100 + "1" + "}" * 100,
}


@pytest.mark.parametrize("name", BAD_JSON)
async def test_bad_json(stack, name):
    data = BAD_JSON[name]
    async with Client(stack, "ada") as ada:
        await ada.raw(data)
        await ada.wait(lambda: any(f["type"] == "error" for f in ada.frames), what="an error frame")
        error = next(f for f in ada.frames if f["type"] == "error")
        assert error["code"] in ("bad_frame", "bad_request", "unknown_type") and error["message"]
        assert (await ada.send("general", "still here"))["seq"] > 0


async def test_invalid_utf8_closes(stack):
    """Text frames are UTF-8 by RFC 6455: anything else violates the protocol."""
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        with pytest.raises((ConnectionError, AssertionError, asyncio.TimeoutError, Refused, websockets.WebSocketException)):
            await ada._ws.write_frame(True, 1, b'{"type":"ping","ref":1,"x":"\xff\xfe"}') if hasattr(ada._ws, "write_frame") else \
                await ada.raw(b"\xff\xfe")
            await asyncio.wait_for(ada._task, 5)
            raise ConnectionError
        assert (await bob.send("general", "nobody else notices"))["seq"] > 0


async def test_bad_protobuf_is_answered(stack):
    token = stack.token("ada")
    async with websockets.connect(f"{stack.ws_url}?token={token}", subprotocols=["parley.v1.proto"]) as ws:
        await asyncio.wait_for(ws.recv(), 10)  # ready
        await ws.send(b"\x05\xff\xff\xff\xff\xff")
        answer = await asyncio.wait_for(ws.recv(), 10)
        assert b"bad_frame" in answer
        await ws.send(b"\x7f\x00")  # a length beyond the end of the message
        try:
            assert b"bad_frame" in await asyncio.wait_for(ws.recv(), 10)
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 4000


def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


BAD_TOKENS = {
    "expired": (lambda s: s.token("ada", ttl=-3600), "expired", 4002),
    "not yet valid": (lambda s: s.token("ada", nbf=int(time.time()) + 3600), "not valid yet", 4001),
    "wrong issuer": (lambda s: s.token("ada", iss="somebody"), "issuer", 4001),
    "wrong audience": (lambda s: s.token("ada", aud="others"), "audience", 4001),
    "algorithm none": (lambda s: s.token("ada", key="", algorithm="none"), "algorithm", 4001),
    "HS512": (lambda s: s.token("ada", algorithm="HS512"), "algorithm", 4001),
    "RS256 of a stranger": (lambda s: s.token("ada", key=rsa_key(), algorithm="RS256"), "", 4001),
    "wrong signature": (lambda s: s.token("ada", key="x" * 64), "signature", 4001),
    "no subject": (lambda s: s.token(None), "", 4001),
    "no token": (lambda s: "", "token", 4001),
    "garbage": (lambda s: "a.b.c", "", 4001),
    "reserved subject": (lambda s: s.token("u_abc"), "", 4001),
}


@pytest.mark.parametrize("how", ["hello", "query"])
@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_bad_token(stack, name, how):
    make, names, code = BAD_TOKENS[name]
    token = make(stack)
    url = stack.ws_url + (f"?token={token}" if how == "query" else "")
    async with websockets.connect(url, subprotocols=["parley.v1.json"]) as ws:
        if how == "hello":
            await ws.send(json.dumps({"type": "hello", "ref": 1, "token": token}))
        elif not token:
            pytest.skip("an empty query token is no token: hello is awaited")
        text = ""
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                text += await asyncio.wait_for(ws.recv(), 10)
        assert closed.value.rcvd.code == code, closed.value
        error = json.loads(text.splitlines()[-1])
        assert error["type"] == "error" and names in error["message"], error
        assert token not in text or not token
    with stack.rest(token=token or "x") as rest:
        assert rest.get("/api/channels").status_code == 401


async def test_says_nothing(own_stack):
    stack = own_stack(PARLEY_HANDSHAKE_TIMEOUT_MS=500)
    async with websockets.connect(stack.ws_url, subprotocols=["parley.v1.json"]) as ws:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(ws.recv(), 10)
        assert closed.value.rcvd.code == 4004
    # not even an HTTP request: the connection is closed as well
    with socket.create_connection(stack.address("gateway")) as s:
        s.settimeout(30)
        assert b"HTTP/1.1 1" not in s.recv(100)


async def test_unknown_origin_is_refused(own_stack):
    stack = own_stack(PARLEY_ALLOWED_ORIGINS="https://chat.example")
    token = stack.token("ada")
    async with websockets.connect(f"{stack.ws_url}?token={token}", origin="https://chat.example") as ws:
        assert json.loads(await asyncio.wait_for(ws.recv(), 10))["type"] == "ready"
    try:
        async with websockets.connect(f"{stack.ws_url}?token={token}", origin="https://evil.example") as ws:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    assert "ready" not in await asyncio.wait_for(ws.recv(), 10)
            assert closed.value.rcvd.code == 4003
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 403


def handshake(stack, token):
    s = socket.create_connection(stack.address("gateway"))
    s.sendall((f"GET /ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
    s.settimeout(10)
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(4096)
    assert b" 101 " in head
    return s


async def test_announced_and_never_sent(stack):
    """A frame of 100 MB is announced: no memory is set aside for it, and the connection is closed or ignored."""
    before = stack.rss_kb("gateway")
    sockets = [handshake(stack, stack.token("ada")) for _ in range(5)]
    for s in sockets:
        s.sendall(b"\x81" + bytes([0x80 | 127]) + struct.pack(">Q", 100 * 1024 * 1024) + b"abcd" + b"x" * 1000)
    async with Client(stack, "bob") as bob:
        assert (await bob.send("general", "nobody else notices"))["seq"] > 0
    assert stack.rss_kb("gateway") - before < 8 * 1024
    for s in sockets:
        s.close()


async def test_client_that_never_reads(own_stack):
    stack = own_stack(PARLEY_SESSION_MAX_QUEUE_BYTES=262144, PARLEY_RATE_LIMITS="off")
    s = handshake(stack, stack.token("deaf"))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
            sent = 0

            async def flood():
                nonlocal sent
                while stack.metric("gateway", "parley_gateway_sessions") > 2 and sent < 4000:
                    await asyncio.gather(*(ada.send("general", "y" * 12000) for _ in range(20)))
                    sent += 20
            await asyncio.wait_for(flood(), 120)
            assert stack.metric("gateway", "parley_gateway_sessions") == 2, "the deaf client is still there"
            last = await ada.send("general", "after")
            await bob.wait_seq("general", last["seq"])
            assert len(bob.messages("general")) == sent + 1 and bob.channels["general"].breaks == 0
    finally:
        s.close()


async def test_rate_limit_names_itself(own_stack):
    stack = own_stack(PARLEY_RATE_MESSAGES_PER_USER=5, PARLEY_BURST_MESSAGES_PER_USER=5)
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        results = await asyncio.gather(*(ada.send("general", f"{i}") for i in range(50)), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Refused)]
        assert refused and all(r.code == "rate_limited" and r.retry_ms > 0 for r in refused)
        assert len(refused) < 50
        assert (await bob.send("general", "nobody else notices"))["seq"] > 0


async def test_cursors_of_another_epoch_and_of_the_future(stack):
    channel = stack.channel("ada")
    async with Client(stack, "ada") as ada:
        ack = await ada.send(channel, "one")
        await ada.wait_seq(channel, ack["seq"])
        epoch = ada.channels[channel].epoch
    for cursor in ({"epoch": epoch + 1, "seq": ack["seq"]}, {"epoch": epoch, "seq": ack["seq"] + 1000}, {"epoch": epoch, "seq": 2**60}):
        async with Client(stack, "ada", hello={"cursors": [{"channelId": channel, **cursor}]}) as late:
            await late.wait(lambda c=late: any(f["type"] in ("replay", "gap", "error") and f.get("channelId", channel) == channel
                                               for f in c.frames), what=f"an answer to {cursor}")


def test_rest_bad_bodies(stack):
    channel = stack.channel("ada")
    with stack.rest("ada") as rest:
        def post(path, **kwargs):
            answer = rest.post(path, **kwargs)
            assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
            return answer
        url = f"/api/channels/{channel}/messages"
        assert post(url, content=b"{").status_code == 400
        assert post(url, json=[]).status_code == 400
        assert "content" in post(url, json={"id": str(uuid.uuid4()), "content": 5}).json()["detail"]
        assert "colour" in post(url, json={"id": str(uuid.uuid4()), "content": "x", "colour": 1}).json()["detail"]
        assert post(url, content=b'{"content":"\xff"}').status_code == 400
        assert post(url, content=b"x" * 1_000_000).status_code == 413
        assert post("/api/channels/a.b/messages", json={"content": "x"}).status_code == 400
        assert post("/api/channels", json={"name": "x", "kind": "castle"}).status_code == 400
        assert rest.get("/api/nothing").status_code == 404
        assert rest.delete(url).status_code == 405
    with stack.rest() as nobody:
        assert nobody.get("/api/channels").status_code == 401


def test_nothing_secret_in_the_logs(stack):
    """Runs last in this file: neither a token nor a message's text is in any log."""
    token = stack.token("ada")
    with stack.rest(token=token) as rest:
        rest.post("/api/channels/general/messages", json={"id": str(uuid.uuid4()), "content": "the-secret-text"})
        rest.get(f"/api/channels?token={token}")
    for name, text in stack.log_texts().items():
        assert token not in text and token.split(".")[2] not in text, name
        if name != "nats-server.log":
            assert "the-secret-text" not in text, name
