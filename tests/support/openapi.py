"""Reads docs/openapi.yaml; calls the service and holds each answer against it; makes values that the page does not allow."""

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

import httpx
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).resolve().parents[2]
SPEC = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())

# Answers that any request may get, as the page's head says
ANYWHERE = {405, 413, 414, 429, 431, 500, 503}


def pointer(reference):
    node = SPEC
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step) if isinstance(node, dict) else None
    return node


def resolve(node):
    return resolve(pointer(node["$ref"])) if "$ref" in node else node


PAGE = "urn:parley:openapi"


def closed(node):
    """The same, without members that it does not name (a client passes over them, a test does not), and with references that
    hold from everywhere"""
    if isinstance(node, list):
        return [closed(value) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: closed(value) for key, value in node.items()}
    if isinstance(node.get("$ref"), str):
        node["$ref"] = PAGE + node["$ref"]
    if node.get("type") == "object" and "properties" in node:
        node.setdefault("additionalProperties", False)
    return node


@cache
def registry():
    return Registry().with_resource(PAGE, Resource(contents=closed(SPEC), specification=DRAFT202012))


def validator(schema):
    return Draft202012Validator(closed(schema), registry=registry(), format_checker=FormatChecker())


class Operation:
    def __init__(self, path, method, node):
        self.path, self.method, self.node = path, method.upper(), node
        self.id = node["operationId"]
        self.responses = node["responses"]
        security = node.get("security", SPEC["security"])
        self.secured = bool(security) and {} not in security  # {}: also without a token
        self.parameters = [resolve(p) for p in node.get("parameters", [])]
        self.body = node.get("requestBody")
        self.body_media = self.body["content"]["application/json"] if self.body else None
        self.body_schema = resolve(self.body_media["schema"]) if self.body else None

    def __repr__(self):
        return f"{self.method} {self.path}"

    def some_path(self, channel):
        """Values for the parameters of the path that it takes"""
        values = {"id": channel, "userId": "nobody", "message": "1"}
        return {p["name"]: values[p["name"]] for p in self.parameters if p["in"] == "path"}

    def some_body(self):
        """A body that it takes"""
        if not self.body:
            return None
        return {name: some_value(self.body_schema["properties"][name]) for name in self.body_schema.get("required", [])}


@cache
def operations(service="history"):
    """What one service answers"""
    return [Operation(path, method, node) for path, item in SPEC["paths"].items() if item.get("x-parley-service", "history") == service
            for method, node in item.items() if not method.startswith("x-")]


class Api:
    """Calls operations by their ids. Every answer is checked: its status, headers and body are as the page has them."""

    def __init__(self, base, token, seen=None, service="history"):
        self.client = httpx.Client(base_url=base, timeout=30)
        self.token = token
        self.by_id = {op.id: op for op in operations(service)}
        self.seen = set() if seen is None else seen  # (operation, status)

    def close(self):
        self.client.close()

    def raw(self, method, path, **kwargs):
        return self.client.request(method, path, **kwargs)

    def call(self, id, user=None, token=None, path=None, query=None, body=None, content=None, headers=None):
        op = self.by_id[id]
        url = re.sub(r"{(\w+)}", lambda m: quote(str((path or {})[m[1]]), safe=""), op.path)
        headers = dict(headers or {})
        if user or token:
            headers["Authorization"] = "Bearer " + (token or self.token(user))
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        answer = self.client.request(op.method, url, params=query, content=content, headers=headers)
        self.check(op, answer)
        return answer

    def check(self, op, answer):
        status = answer.status_code
        assert str(status) in op.responses or status in ANYWHERE, f"{op} answered {status}, which is not described: {answer.text}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store", op
        self.seen.add((op.id, status))
        if status >= 400:
            self.check_problem(answer)
        described = resolve(op.responses[str(status)]) if str(status) in op.responses else {}
        for header in described.get("headers", {}):
            assert header in answer.headers, f"{op} answered {status} without {header}"
        if "content" in described:
            (media, node), = described["content"].items()
            assert answer.headers["Content-Type"].split(";")[0] == media, op
            validator(node["schema"]).validate(answer.json())
        elif status < 400:
            assert answer.content == b"", f"{op} answered {status} with a body that is not described"

    def check_problem(self, answer):
        assert answer.headers["Content-Type"] == "application/problem+json", answer.text
        problem = answer.json()
        validator(SPEC["components"]["schemas"]["Problem"]).validate(problem)
        assert problem["status"] == answer.status_code
        assert problem["type"] == "urn:parley:problem:" + problem["code"]
        if "retryMs" in problem:
            assert int(answer.headers["Retry-After"]) == -(-problem["retryMs"] // 1000)


def missing(seen, service="history"):
    """What is described and was not answered by anybody; but for 202 and 500, which no test can ask for"""
    described = {(op.id, int(status)) for op in operations(service) for status in op.responses}
    return sorted((id, status) for id, status in described - seen if status not in (202, 500))


# --- values that are not allowed ---


def some_value(schema):
    schema = resolve(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: some_value(schema["properties"][name]) for name in schema.get("required", [])}
    return {"string": "x", "integer": 1, "boolean": True, "array": []}[schema["type"]]


def bad_values(parameter):
    """Texts for a parameter that its schema does not take"""
    schema = resolve(parameter["schema"])
    in_path = parameter["in"] == "path"
    texts = ["a.b", "*", ">", "a b", "ä", "\0", "\x7f"] if "pattern" in schema else ["abc", "1.5", "-1", "0x10", " 1", "1e3", "9" * 30]
    if "pattern" in schema:
        texts += ["x" * 65]
    if "enum" in schema:
        texts = ["x", schema["enum"][0].upper(), schema["enum"][0] + " "]
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            texts.append(str(schema[bound] + step))
    return texts if in_path else [*texts, ""]


WRONG_TYPES = [None, True, 7, -1, 1.5, "text", [], {}, [7], [None]]


def is_type(value, schema):
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    if schema["type"] == "integer" and isinstance(value, bool):
        return False
    return isinstance(value, kinds[schema["type"]])


def bad_bodies(schema):
    """(what, content, a word that the answer has to hold) for bodies that the schema does not take"""
    good = {name: some_value(schema["properties"][name]) for name in schema.get("required", [])}
    for what, content in (("nothing", b""), ("not JSON", b"{"), ("two values", b"{} {}"), ("a list", b"[]"), ("a text", b'"x"'), ("null", b"null"),
                          ("not UTF-8", b'{"\xff":1}'), ("NUL", b'{"a":"\0"}'), ("a comment", b"{/**/}"), ("deep", b'{"a":' * 50 + b"1" + b"}" * 50)):
        yield what, content, None
    yield "an unknown name", json.dumps({**good, "surprise": 1}).encode(), "surprise"
    for name in schema.get("required", []):
        yield f"no {name}", json.dumps({k: v for k, v in good.items() if k != name}).encode(), name
    for name, member in schema["properties"].items():
        member = resolve(member)
        yield f"{name} twice", (json.dumps({**good, name: some_value(member)})[:-1] + f', "{name}": {json.dumps(some_value(member))}}}').encode(), name
        for value in WRONG_TYPES:
            if value is None or is_type(value, member):
                continue
            yield f"{name} as {value!r}", json.dumps({**good, name: value}).encode(), name
        yield from bad_members(good, name, member)


def bad_members(good, name, member):
    def of(value):
        return json.dumps({**good, name: value}).encode()

    if "enum" in member:
        yield f"{name} of no known value", of("castle"), name
    elif member["type"] == "string":
        yield f"{name} with NUL", (json.dumps({**good, name: "@@"}).replace("@@", "a\\u0000b")).encode(), name
        yield f"{name} with half a surrogate", (json.dumps({**good, name: "@@"}).replace("@@", "\\ud800")).encode(), None
        for text in ("a.b\n", " ", "x" * 65):
            if "pattern" in member and not re.search(member["pattern"], text):
                yield f"{name} as {text!r}", of(text), name
        if "maxLength" in member:
            yield f"{name} too long", of("x" * (member["maxLength"] + 1)), name
        if member.get("minLength"):
            yield f"{name} empty", of(""), name
    elif member["type"] == "array":
        yield f"{name} with a bad id", of(["a.b"]), name
        yield f"{name} with too many", of(["x"] * (member["maxItems"] + 1)), name
