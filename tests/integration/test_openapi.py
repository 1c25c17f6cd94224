"""docs/openapi.yaml against the schema it is written from, and against the running service: every operation, every status, every bad value."""

import re
import subprocess
import uuid

import pytest
from google.protobuf import descriptor_pb2
from support.openapi import ROOT, SPEC, Api, bad_bodies, bad_values, missing, operations, pointer, validator
from support.stack import wait_until

FIELD = descriptor_pb2.FieldDescriptorProto


# --- the page itself ---


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_page_is_sound():
    for reference in references(SPEC):
        assert pointer(reference) is not None, reference
    for name, schema in SPEC["components"]["schemas"].items():
        validator(schema).check_schema(schema)
        if "properties" in schema:
            assert set(schema.get("required", [])) <= set(schema["properties"]), name
    used = set(references(SPEC))
    for kind in ("schemas", "parameters", "responses", "headers"):
        for name in SPEC["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, f"{kind}/{name} is described for nobody"
    everything = operations() + operations("presence") + operations("upload")
    assert len(everything) == len({op.id for op in everything})
    for op in everything:
        in_path = {p["name"] for p in op.parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", op.path)), op
        assert any(status[0] in "23" for status in op.responses), op
        if op.secured:
            assert {"401", "429", "500"} <= set(op.responses), op
        if op.secured and (op.parameters or op.body):
            assert "400" in op.responses, op
        if op.body:
            assert {"400", "413"} <= set(op.responses), op
            example = op.body_media.get("example")
            if example:
                validator(op.body_schema).validate(example)


def descriptors(tmp_path):
    """Messages and enums of proto/parley/v1 by their full name"""
    out = tmp_path / "schema.bin"
    files = sorted((ROOT / "proto/parley/v1").glob("*.proto"))
    subprocess.run(["protoc", f"-I{ROOT / 'proto'}", "--include_imports", f"--descriptor_set_out={out}", *map(str, files)], check=True)
    messages, enums = {}, {}

    def walk(prefix, file, container):
        for message in container.message_type if isinstance(container, descriptor_pb2.FileDescriptorProto) else container.nested_type:
            messages[f"{prefix}.{message.name}"] = (file, message)
            walk(f"{prefix}.{message.name}", file, message)
        for enum in container.enum_type:
            enums[f"{prefix}.{enum.name}"] = [v.name for v in enum.value]

    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        walk(f".{file.package}", file.name, file)
    return messages, enums


def flat(schema):
    """A schema with its reference followed; what stands beside the reference counts, too"""
    while "$ref" in schema:
        schema = {**pointer(schema["$ref"]), **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def kind_of(field, enums):
    """What the proto3 JSON mapping makes of one value"""
    if field.type == FIELD.TYPE_ENUM:
        return ("enum", tuple(enums[field.type_name]))
    if field.type == FIELD.TYPE_MESSAGE:
        return ("string", "date-time") if field.type_name == ".google.protobuf.Timestamp" else ("object", field.type_name.lstrip("."))
    return {FIELD.TYPE_STRING: ("string",), FIELD.TYPE_BOOL: ("boolean",)}.get(field.type, ("integer",))


def described_as(schema):
    schema = flat(schema)
    if "enum" in schema:
        return ("enum", tuple(schema["enum"]))
    if schema["type"] == "object":
        return ("object", schema["x-parley-proto"])
    return (schema["type"], schema["format"]) if "format" in schema else (schema["type"],)


# of upload.proto, which also has what upload keeps
UPLOAD_BODIES = {f".parley.v1.{name}" for name in ("CreateUploadRequest", "SignedRequest", "SignedRequest.Header", "Upload", "UploadPartsRequest",
                                                   "UploadPartsRequest.Part", "UploadParts", "FileDescriptor", "DescriptorRequest", "ThumbnailRequest", "QuarantineRequest",
                                                   "Reconciliation", "Reconciliation.Finding")}


def test_schemas_are_those_of_the_proto(tmp_path):
    messages, enums = descriptors(tmp_path)
    described = {s["x-parley-proto"]: (name, s) for name, s in SPEC["components"]["schemas"].items() if "x-parley-proto" in s}
    for full, (file, _) in messages.items():
        if file == "parley/v1/rest.proto" or full in UPLOAD_BODIES:
            assert full.lstrip(".") in described, f"{full} is not in the page"
    for full, (name, schema) in described.items():
        _, message = messages["." + full]
        fields = {f.json_name: f for f in message.field}
        assert set(schema["properties"]) == set(fields), name
        for json_name, field in fields.items():
            member = flat(schema["properties"][json_name])
            expected = kind_of(field, enums)
            if field.label == FIELD.LABEL_REPEATED:
                assert member["type"] == "array", (name, json_name)
                member = member["items"]
            got = described_as(member)
            if expected[0] == "enum" and name.endswith("Request"):
                assert set(got[1]) <= set(expected[1]), (name, json_name)  # not each value may be asked for
            else:
                assert got == expected, (name, json_name)
        if not name.endswith("Request"):
            # zero values are written: all that is not an object or a choice is always there
            always = {f.json_name for f in message.field
                      if not f.HasField("oneof_index") and (f.type != FIELD.TYPE_MESSAGE or f.label == FIELD.LABEL_REPEATED)}
            assert always <= set(schema.get("required", [])), (name, always - set(schema.get("required", [])))


def test_codes_are_those_of_the_list():
    text = (ROOT / "lib/base/codes.h").read_text()
    codes = {m[0]: int(m[1]) for m in re.findall(r'X\(\w+, "(\w+)", (\d+),', text)}
    assert len(codes) > 10
    described = set(SPEC["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    assert described == set(codes) - {"ok", "bad_frame", "unknown_type"}


@pytest.mark.parametrize("service", ["history", "presence", "upload"])
def test_every_route_is_described(service):
    text = (ROOT / f"services/{service}/rest.c").read_text()
    routes = set(re.findall(r'\{\s*(?:\.method = )?"([A-Z]+)",\s*(?:\.path = )?"(/api/[^"]*)"', text))
    assert routes == {(op.method, op.path) for op in operations(service)}


# --- the running service ---


@pytest.fixture(scope="module")
def api(stack):
    api = Api(stack.service_url("history"), stack.token)
    yield api
    api.close()


def new_channel(api, owner, **fields):
    answer = api.call("createChannel", user=owner, body={"name": "test", "kind": "private", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_methods(api):
    """What a path takes, by its own word"""
    by_path = {}
    for op in operations():
        by_path.setdefault(op.path, set()).add(op.method)
    for path, methods in by_path.items():
        answer = api.raw("BREW", re.sub(r"{\w+}", "x", path))
        assert answer.status_code == 405, (path, answer.text)
        api.check_problem(answer)
        assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == methods, path


def test_story(api, stack):
    """Each operation as it is meant, each answer as it is described"""
    me = api.call("getMe", user="ada").json()
    assert me["userId"] == "ada" and me["name"] == "Ada" and not me["admin"]

    session = api.call("createDemoSession", body={"name": "Zoë Ünal"}).json()
    assert api.call("getMe", token=session["token"]).json()["userId"] == session["userId"]

    created = api.call("createChannel", user="ada", body={"name": "Ideas", "topic": "x", "kind": "private", "members": ["bob", "bob", "ada"],
                                                          "historyVisibility": "joined"})
    assert created.status_code == 201
    channel = created.json()
    path = {"id": channel["id"]}
    assert created.headers["Location"] == f"/api/channels/{channel['id']}"
    assert channel["topic"] == "x" and channel["historyVisibility"] == "joined" and channel["createdBy"] == "ada"
    assert api.call("createChannel", user="bob", body={"id": channel["id"], "name": "mine"}).status_code == 409

    entry = api.call("getChannel", user="bob", path=path).json()
    assert entry["role"] == "member" and entry["channel"] == channel
    assert api.call("getChannel", user="eve", path=path).json()["code"] == "not_a_member"
    assert api.call("getChannel", user="eve", path={"id": "no-such-channel"}).json()["code"] == "not_a_member"
    assert api.call("getChannel", token=stack.token("root", admin=True), path={"id": "no-such-channel"}).status_code == 404

    changed = api.call("changeChannel", user="ada", path=path, body={"topic": "", "name": "Ideen"}).json()["channel"]
    assert changed["topic"] == "" and changed["name"] == "Ideen" and changed["version"] > channel["version"]
    assert api.call("changeChannel", user="ada", path=path, body={}).json()["channel"] == changed
    assert api.call("changeChannel", user="bob", path=path, body={"topic": "no"}).json()["code"] == "forbidden"
    assert api.call("changeChannel", token=stack.token("root", admin=True), path={"id": "no-such-channel"}, body={"topic": "no"}).status_code == 404

    assert api.call("addMember", user="ada", path=path, body={"userId": "eve"}).status_code == 201
    assert api.call("addMember", user="ada", path=path, body={"userId": "eve", "role": "moderator"}).status_code == 200
    assert api.call("addMember", user="bob", path=path, body={"userId": "eve", "role": "owner"}).json()["code"] == "forbidden"
    assert api.call("addMember", user="ada", path=path, body={"userId": "ada", "role": "guest"}).json()["code"] == "conflict"
    assert api.call("addMember", token=stack.token("root", admin=True), path={"id": "no-such-channel"}, body={"userId": "eve"}).status_code == 404
    page = api.call("listMembers", user="bob", path=path, query={"limit": 2}).json()
    assert [m["userId"] for m in page["members"]] == ["ada", "bob"] and page["next"] == "bob"
    rest = api.call("listMembers", user="bob", path=path, query={"after": page["next"]}).json()
    assert [(m["userId"], m["role"]) for m in rest["members"]] == [("eve", "moderator")] and rest["next"] == ""
    assert api.call("listMembers", user="mallory", path=path).status_code == 403
    assert api.call("listMembers", token=stack.token("root", admin=True), path={"id": "no-such-channel"}).status_code == 404

    own = api.call("listChannels", user="bob", query={"limit": 500}).json()["channels"]
    assert any(e["channel"]["id"] == channel["id"] for e in own)
    assert any(e["channel"]["id"] == "general" for e in api.call("listChannels", user="bob", query={"scope": "open"}).json()["channels"])
    assert api.call("listChannels", user="bob", query={"limit": 1}).json()["next"]

    messages(api, stack, channel["id"])

    assert api.call("removeMember", user="bob", path={**path, "userId": "eve"}).status_code == 403
    assert api.call("removeMember", user="ada", path={**path, "userId": "eve"}).status_code == 204
    assert api.call("removeMember", user="ada", path={**path, "userId": "eve"}).status_code == 404
    assert api.call("removeMember", user="ada", path={**path, "userId": "ada"}).json()["code"] == "conflict"
    assert api.call("leaveChannel", user="ada", path=path).json()["code"] == "conflict"
    assert api.call("leaveChannel", user="bob", path=path).status_code == 204
    assert api.call("leaveChannel", user="bob", path=path).status_code == 403
    assert api.call("leaveChannel", token=stack.token("root", admin=True), path={"id": "no-such-channel"}).status_code == 404

    lobby = {"id": new_channel(api, "ada", kind="open")}
    assert api.call("joinChannel", user="bob", path=lobby).json()["role"] == "member"
    assert api.call("joinChannel", user="bob", path=lobby).status_code == 200
    assert api.call("joinChannel", user="mallory", path=path).status_code == 403
    assert api.call("joinChannel", token=stack.token("root", admin=True), path={"id": "no-such-channel"}).status_code == 404
    archived(api, lobby)


def archived(api, path):
    """In an archived channel one reads, and no more"""
    assert api.call("changeChannel", user="ada", path=path, body={"archived": True}).json()["channel"]["archived"]
    assert api.call("sendMessage", user="bob", path=path, body={"content": "x"}).json()["code"] == "archived"
    assert api.call("joinChannel", user="eve", path=path).json()["code"] == "archived"
    assert api.call("addMember", user="ada", path=path, body={"userId": "eve"}).json()["code"] == "archived"
    assert api.call("changeChannel", user="ada", path=path, body={"topic": "x"}).json()["code"] == "archived"
    assert api.call("listMessages", user="bob", path=path).status_code == 200


def messages(api, stack, channel):
    path = {"id": channel}
    id = str(uuid.uuid4())
    first = api.call("sendMessage", user="ada", path=path, body={"id": id, "content": "hi 😀", "mentions": ["bob"]})
    assert first.status_code == 201 and not first.json()["duplicate"]
    again = api.call("sendMessage", user="ada", path=path, body={"id": id, "content": "hi 😀", "mentions": ["bob"], "retry": True})
    assert again.status_code == 200 and again.json()["duplicate"] and again.json()["seq"] == first.json()["seq"]
    keyed = api.call("sendMessage", user="ada", path=path, body={"content": "hi 😀", "mentions": ["bob"]}, headers={"Idempotency-Key": id})
    assert keyed.status_code == 200 and keyed.json()["seq"] == first.json()["seq"]
    assert api.call("sendMessage", user="ada", path=path, body={"id": id, "content": "other"}).json()["code"] == "id_conflict"
    assert api.call("sendMessage", user="mallory", path=path, body={"content": "x"}).json()["code"] == "not_a_member"
    assert api.call("sendMessage", token=stack.token("root", admin=True), path={"id": "no-such-channel"}, body={"content": "x"}).status_code == 404
    last = api.call("sendMessage", user="bob", path=path, body={"content": "re", "replyTo": id, "threadId": id, "type": "image"}).json()
    stack.wait_ingested("ada", channel, last["seq"])

    page = api.call("listMessages", user="ada", path=path).json()
    assert [m["content"] for m in page["messages"]] == ["hi 😀", "re"] and page["completeThroughSeq"] >= last["seq"]
    assert page["messages"][0]["mentions"] == ["bob"] and page["messages"][1]["replyTo"] == id and page["messages"][1]["type"] == "image"
    for cursor in (id, last["seq"]):
        for direction in ("before", "after", "around"):
            api.call("listMessages", user="ada", path=path, query={direction: cursor, "limit": 1})
        assert api.call("getMessage", user="ada", path={**path, "message": cursor}).status_code == 200
    assert api.call("listMessages", user="ada", path=path, query={"before": str(uuid.uuid4())}).status_code == 404
    assert api.call("getMessage", user="ada", path={**path, "message": str(uuid.uuid4())}).status_code == 404
    assert api.call("getMessage", user="mallory", path={**path, "message": id}).status_code == 403
    assert api.call("listMessages", user="mallory", path=path).status_code == 403

    events = api.call("listEvents", user="ada", path=path).json()
    bodies = {key for e in events["events"] for key in e if key in ("message", "memberJoined", "channelChanged", "memberChanged")}
    assert bodies == {"message", "memberJoined", "channelChanged", "memberChanged"} and not events["more"]
    short = api.call("listEvents", user="ada", path=path, query={"limit": 2, "after": events["events"][0]["seq"]}).json()
    assert short["more"] and short["fromSeq"] == events["events"][0]["seq"] and len(short["events"]) == 2
    assert api.call("listEvents", user="mallory", path=path).status_code == 403
    assert api.call("listEvents", token=stack.token("root", admin=True), path={"id": "no-such-channel"}).status_code == 404


@pytest.mark.parametrize("op", operations(), ids=lambda op: op.id)
def test_no_token(api, op, stack):
    if not op.secured:
        assert api.call(op.id, user=None, path=op.some_path("general"), body={"name": "x"}).status_code == 200
        return
    stale = stack.token("ada", ttl=-60)
    for token, code in ((None, "unauthenticated"), ("x", "unauthenticated"), (stale[:-2] + "AA", "unauthenticated"), (stale, "token_expired")):
        answer = api.call(op.id, token=token, path=op.some_path("general"), body=op.some_body())
        assert answer.status_code == 401 and answer.json()["code"] == code, (op, code, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_demo_session_is_renewed(api, stack):
    """With a token that is still good the same user is signed in again, for longer; with any other nobody is."""
    def renew(token, name="Ada B."):
        return api.call("createDemoSession", token=token, body={"name": name})

    first = renew(None, "Ada").json()
    assert renew(None, "Ada").json()["userId"] != first["userId"]
    wait_until(lambda: renew(first["token"]).json()["expiresAt"] > first["expiresAt"], what="a later end")
    again = renew(first["token"]).json()
    assert (again["userId"], again["name"]) == (first["userId"], "Ada B.") and again["token"] != first["token"]
    assert api.call("getMe", token=again["token"]).json()["userId"] == first["userId"]

    admin = renew(stack.token("renewed-admin", admin=True)).json()
    me = api.call("getMe", token=admin["token"]).json()
    assert me["userId"] == "renewed-admin" and not me["admin"]

    for token, status, code in ((first["token"][:-2] + "AA", 401, "unauthenticated"), (stack.token("late", ttl=-60), 401, "token_expired"),
                                (stack.token("auth0|1"), 403, "forbidden")):
        answer = renew(token)
        assert answer.status_code == status and answer.json()["code"] == code, answer.text
    assert renew(first["token"], " ").status_code == 400


@pytest.mark.parametrize("op", operations(), ids=lambda op: op.id)
def test_bad_parameters(api, op):
    """Each parameter with each kind of value that it does not take is refused by name; before anything else is asked"""
    tried = 0
    for parameter in op.parameters:
        if parameter["in"] == "header":
            continue
        for value in bad_values(parameter):
            path, query = op.some_path("general"), {}
            (path if parameter["in"] == "path" else query)[parameter["name"]] = value
            answer = api.call(op.id, user=f"p-{op.id}-{tried // 50}", path=path, query=query, body=op.some_body())
            assert answer.status_code == 400, (op, parameter["name"], value, answer.text)
            words = {parameter["name"], {"id": "channel", "userId": "user"}.get(parameter["name"], parameter["name"])}
            assert any(word in answer.json()["detail"] for word in words), (value, answer.text)
            tried += 1
    assert tried or not [p for p in op.parameters if p["in"] != "header"]


@pytest.mark.parametrize("op", [op for op in operations() if op.body], ids=lambda op: op.id)
def test_bad_bodies(api, op):
    user = f"b-{op.id}"
    path = op.some_path(new_channel(api, user))
    tried = 0
    for name, content, named in bad_bodies(op.body_schema):
        answer = api.call(op.id, user=user if op.secured else None, path=path, content=content)
        assert answer.status_code in (400, 413), (op, name, answer.status_code, answer.text)
        if named:
            assert named in answer.json()["detail"], (op, name, answer.text)
        tried += 1
    assert tried > 10
    answer = api.call(op.id, user=user if op.secured else None, path=path, content=b'{"x":"' + b"y" * 300_000 + b'"}')
    assert answer.status_code == 413 and answer.json()["code"] == "too_large"


def test_bodies_where_none_belong(api):
    for op in operations():
        if op.method == "GET":
            answer = api.call(op.id, user="nobody", path=op.some_path("general"), content=b"x")
            assert answer.status_code == 400 and "body" in answer.json()["detail"], op
        elif not op.body:
            answer = api.call(op.id, user="nobody", path=op.some_path("general"), content=b"x" * 300_000)
            assert answer.status_code == 413, op


def test_limits_and_outage(api, own_stack):
    """429 by user and by address, 404 without the demo sign-in, 503 without Postgres: each as it is described"""
    stack = own_stack(PARLEY_REST_RATE=1, PARLEY_REST_BURST=2, PARLEY_SIGNIN_RATE=1, PARLEY_DEMO_SIGNIN=0)
    api = Api(stack.service_url("history"), stack.token, api.seen)
    secured = [op for op in operations() if op.secured]
    assert api.call("createDemoSession", body={"name": "x"}).status_code == 404
    stack.stop("history")
    stack.start("history", PARLEY_DEMO_SIGNIN=1)
    wait_until(lambda: api.call("createDemoSession", body={"name": "x"}).status_code == 429, 10, "the limit of sign-ins", interval=0.001)
    for op in secured:
        answers = [api.call(op.id, user=f"r-{op.id}", path=op.some_path("no-such-channel"), body=op.some_body()) for _ in range(4)]
        limited = [a for a in answers if a.status_code == 429]
        assert limited and limited[0].json()["code"] == "rate_limited" and limited[0].json()["retryMs"] > 0, op
    # without a valid token the address is what counts
    wait_until(lambda: api.call("getMe", token="x").status_code == 429, 10, "the limit of an address", interval=0.001)

    stack.kill("postgres")
    wait_until(lambda: api.call("getChannel", user=uuid.uuid4().hex, path={"id": "general"}).status_code == 503, 20, "history notices")
    for op in secured:
        if op.id == "getMe":
            continue
        answer = api.call(op.id, user=f"o-{op.id}", path=op.some_path("general"), body=op.some_body())
        assert answer.status_code == 503 and answer.json()["code"] == "unavailable" and answer.json()["retryMs"] > 0, (op, answer.text)
    assert api.call("getMe", user="o").status_code == 200
    stack.start("postgres")
    wait_until(lambda: api.call("getChannel", user=uuid.uuid4().hex, path={"id": "general"}).status_code == 200, 30, "history is back",
               interval=0.2)
    api.close()


def test_everything_described_was_seen(api):
    """Runs last in this file: no status of the page is there for show"""
    assert not missing(api.seen), "described, and never answered"


def test_closed_schemas_refuse_what_is_not_described():
    """The checks above would notice a member that the page does not have"""
    schema = SPEC["components"]["schemas"]["Ack"]
    ack = {"id": str(uuid.uuid4()), "channelId": "x", "seq": 1, "createdAt": "2026-01-02T03:04:05.678Z", "duplicate": False}
    assert validator(schema).is_valid(ack)
    assert not validator(schema).is_valid({**ack, "surprise": 1})
    assert not validator(schema).is_valid({k: v for k, v in ack.items() if k != "seq"})
    assert not validator(schema).is_valid({**ack, "createdAt": "yesterday"})
