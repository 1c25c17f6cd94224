"""docs/openapi.yaml against the running upload service: every answer is as it is described, and what is described is answered."""

import re
import uuid

import pytest

from support.images import png
from support.openapi import Api, bad_bodies, missing, operations
from support.stack import wait_until
from support.stores import STORES, shared_stack_of

SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of hello
FILE = {"channelId": "general", "name": "a.txt", "size": 5, "contentType": "text/plain"}


@pytest.fixture(scope="module", params=STORES)
def stack(request):
    return shared_stack_of(request)


@pytest.fixture(scope="module")
def api(stack):
    api = Api(stack.service_url("upload"), stack.token, service="upload")
    yield api
    api.close()


def send(api, signed, data):
    answer = api.raw("PUT", signed["url"], content=data, headers={h["name"]: h["value"] for h in signed["headers"]})
    assert answer.status_code == 200, answer.text


def uploaded(api, user, **fields):
    upload = api.call("createUpload", user=user, body={**FILE, **fields}).json()
    send(api, upload["put"], b"hello")
    return api.call("completeUpload", user=user, path={"id": upload["id"]}, body={}).json()["attachment"]["id"]


def test_story(api, stack):
    upload = api.call("createUpload", user="ada", body=FILE)
    assert upload.status_code == 201
    path = {"id": upload.json()["id"]}
    assert api.call("getUpload", user="ada", path=path).json()["partsThere"] == []
    assert api.call("completeUpload", user="ada", path=path).status_code == 409
    assert api.call("signParts", user="ada", path=path, body={"parts": [{"number": 1, "sha256": SHA256}]}).status_code == 400
    send(api, upload.json()["put"], b"hello")
    done = api.call("completeUpload", user="ada", path=path)
    assert done.status_code == 200 and done.json()["attachment"]["sha256"] == SHA256
    assert api.call("abortUpload", user="ada", path=path).status_code == 404
    assert api.call("getFile", user="bob", path=path).status_code == 302
    assert api.call("getThumbnail", user="bob", path=path).status_code == 404
    other = stack.channel("bob", [])
    assert api.call("describeFile", user="bob", path=path, body={"channelId": other}).status_code == 200
    assert api.call("describeFile", user="ada", path=path, body={"channelId": other}).status_code == 403
    assert api.call("deleteFile", user="bob", path=path).status_code == 404
    assert api.call("deleteFile", user="ada", path=path).status_code == 204
    assert api.call("getFile", user="ada", path=path).status_code == 404

    image = png(20, 10)
    upload = api.call("createUpload", user="ada", body={**FILE, "width": 3, "blurhash": "00OZZy", "thumbnail": {"size": len(image), "contentType": "image/png"}}).json()
    send(api, upload["put"], b"hello")
    send(api, upload["thumbnail"], image)
    path = {"id": upload["id"]}
    assert api.call("completeUpload", user="ada", path=path).json()["attachment"]["thumbnail"]["width"] == 20
    assert api.call("getThumbnail", user="bob", path=path).status_code == 302

    scan = stack.token("scanner", scan=True)
    assert api.call("scanFile", user="ada", path=path).status_code == 403
    assert api.call("scanFile", token=scan, path=path).status_code == 302
    assert api.call("quarantineFile", user="ada", path=path, body={}).status_code == 403
    assert api.call("quarantineFile", token=scan, path=path, body={"reason": "Eicar"}).status_code == 204
    assert api.call("getFile", user="ada", path=path).status_code == 404
    assert api.call("releaseFile", user="ada", path=path).status_code == 403
    assert api.call("releaseFile", token=scan, path=path).status_code == 409
    assert api.call("releaseFile", token=stack.token("root", admin=True), path=path).status_code == 204
    assert api.call("getFile", user="ada", path=path).status_code == 302

    root = stack.token("root", admin=True)
    assert api.call("getReconciliation", user="ada").status_code == api.call("startReconciliation", user="ada").status_code == 403
    assert api.call("startReconciliation", token=root).json()["running"]
    wait_until(lambda: not api.call("getReconciliation", token=root).json()["running"], 60, "it is over", interval=0.2)
    assert len(api.call("getReconciliation", token=root).json()["findings"]) == 11
    assert api.call("startReconciliation", token=root, query={"collect": "perhaps"}).status_code == 400
    assert api.call("startReconciliation", token=root, query={"collect": "true"}).status_code == 202
    wait_until(lambda: not api.call("getReconciliation", token=root).json()["running"], 60, "it is over", interval=0.2)

    request = {**FILE, "size": (16 << 20) + 1, "clientId": str(uuid.uuid4())}
    large = api.call("createUpload", user="ada", body=request).json()
    again = api.call("createUpload", user="ada", body=request)
    assert again.status_code == 200 and again.json()["id"] == large["id"]
    path = {"id": large["id"]}
    parts = api.call("signParts", user="ada", path=path, body={"parts": [{"number": 2, "sha256": SHA256}, {"number": 1, "sha256": SHA256}]})
    assert [p["part"] for p in parts.json()["parts"]] == [2, 1] and parts.json()["parts"][0]["size"] == 1
    assert api.call("getUpload", user="ada", path=path).json()["partCount"] == 2
    assert api.call("abortUpload", user="ada", path=path).status_code == 204
    assert api.call("createUpload", user="ada", body={**FILE, "size": 1 << 50}).status_code == 413


def test_refusals(api, stack):
    """Nobody, nothing, and what is not allowed, of each operation"""
    nowhere = {"id": str(uuid.uuid4())}
    there = {"createUpload": {}, "signParts": {"id": api.call("createUpload", user="ada", body={**FILE, "size": 20 << 20}).json()["id"]},
             "describeFile": {"id": uploaded(api, "ada")}, "quarantineFile": {"id": uploaded(api, "ada")}}
    for op in operations("upload"):
        path = nowhere if "{id}" in op.path else {}
        body = {"parts": [{"number": 1, "sha256": SHA256}]} if op.id == "signParts" else {"channelId": "general"} if op.id == "describeFile" else \
            {} if op.id == "quarantineFile" else FILE if op.id == "createUpload" else None
        assert api.call(op.id, path=path, body=body).status_code == 401, op
        assert api.call(op.id, token="x.y.z", path=path, body=body).status_code == 401, op
        if path:
            token = stack.token("ada", scan=True)  # who may do everything here
            assert api.call(op.id, token=token, path=path, body=body).status_code == 404, op
            assert api.call(op.id, token=token, path={"id": "a.b"}, body=body).status_code == 404, op
            assert api.call(op.id, token=token, path={"id": "\0"}, body=body).status_code == 400, op
        if not op.body:
            continue
        for what, content, word in bad_bodies(op.body_schema):
            if word == "sha256" and op.id == "createUpload":
                continue  # a text of its own rules, below
            answer = api.call(op.id, token=stack.token("ada", scan=True), path=there[op.id], content=content)
            assert answer.status_code == 400, (op, what, answer.text)
        answer = api.call(op.id, token=stack.token("ada", scan=True), path=path, content=b"x" * 300_000)
        assert answer.status_code == 413, op
    assert api.call("createUpload", user="ada", body={**FILE, "sha256": "x"}).status_code == 400
    private = stack.channel("bob", [])
    assert api.call("createUpload", user="ada", body={**FILE, "channelId": private}).status_code == 403
    assert stack.rest("bob").patch(f"/api/channels/{private}", json={"archived": True}).status_code in (200, 202)
    wait_until(lambda: api.call("createUpload", user="bob", body={**FILE, "channelId": private}).status_code == 409, 10, "it is archived")


def test_completion_that_is_refused(api, stack):
    room = stack.channel("bob", ["ada"])
    upload = api.call("createUpload", user="ada", body={**FILE, "channelId": room}).json()
    send(api, upload["put"], b"hello")
    assert stack.rest("bob").delete(f"/api/channels/{room}/members/ada").status_code in (200, 204)
    path = {"id": upload["id"]}
    wait_until(lambda: api.call("completeUpload", user="ada", path=path).status_code == 403, 10, "the removal is in force")


def test_conflicts(api, stack):
    """A completed upload whose record is still there cannot be aborted; a file is in so many channels and no more"""
    file_id = uploaded(api, "ada")
    path = {"id": file_id}
    for _ in range(49):
        channel = stack.channel("ada", [])
        assert api.call("describeFile", user="ada", path=path, body={"channelId": channel}).status_code == 200
    assert api.call("describeFile", user="ada", path=path, body={"channelId": stack.channel("ada", [])}).status_code == 409


def test_methods(api):
    by_path = {}
    for op in operations("upload"):
        by_path.setdefault(op.path, set()).add(op.method)
    for path, methods in by_path.items():
        answer = api.raw("BREW", re.sub(r"{\w+}", "x", path))
        assert answer.status_code == 405, (path, answer.text)
        if path == "/api/uploads/reconciliation":
            methods = methods | by_path["/api/uploads/{id}"]  # which would be an id
        assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == methods, path


def test_limits_and_outage(api, stack, own_stack):
    stack = own_stack(PARLEY_UPLOAD_STORE=stack.env.get("PARLEY_UPLOAD_STORE", "local"), PARLEY_UPLOAD_RATE=1, PARLEY_UPLOAD_BURST=1)
    limited = Api(stack.service_url("upload"), stack.token, api.seen, service="upload")
    nowhere = {"id": str(uuid.uuid4())}
    for op in operations("upload"):
        path = nowhere if "{id}" in op.path else {}
        answers = [limited.call(op.id, user=f"r-{op.id}", path=path, body=op.some_body()) for _ in range(3)]
        assert any(a.status_code == 429 for a in answers), op
    wait_until(lambda: limited.call("getFile", token="x", path=nowhere).status_code == 429, 10, "the limit of an address", interval=0.001)
    stack.kill("nats-server")
    bodies = {"signParts": {"parts": [{"number": 1, "sha256": SHA256}]}, "describeFile": {"channelId": "general"}, "createUpload": FILE, "quarantineFile": {}}
    for op in operations("upload"):
        path = nowhere if "{id}" in op.path else {}
        answer = limited.call(op.id, token=stack.token(f"o-{op.id}", scan=True, admin=True), path=path, body=bodies.get(op.id))
        assert answer.status_code == 503 and answer.json()["retryMs"] > 0, (op, answer.text)
    limited.close()


def test_everything_described_was_answered(api):
    # a death in the middle: tests/faults; a policy of its own: test_upload_scan
    left = set(missing(api.seen, "upload")) - {("abortUpload", 409), ("getFile", 409), ("getThumbnail", 409)}
    assert not left, left
