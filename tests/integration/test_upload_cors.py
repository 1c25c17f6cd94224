"""A page of another origin uploads and reads files: every request as a browser sends it, with its preflight."""

from support.uploads import Uploader

PAGE, OTHER, STRANGER = "https://shop.example", "https://blog.example:8443", "https://evil.example"


def preflight(client, url, method, origin, headers=""):
    return client.options(url, headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


def may(answer, origin, method, headers):
    return (answer.status_code == 204 and answer.headers.get("access-control-allow-origin") == origin
            and method in answer.headers["access-control-allow-methods"].split(", ")
            and set(headers) <= {h.lower() for h in answer.headers["access-control-allow-headers"].split(", ")})


def test_another_origin(own_stack):
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_CORS_ORIGIN=f"{PAGE}, {OTHER}")
    with Uploader(stack, "ann") as ann:
        for origin in (PAGE, OTHER):
            ann.rest.headers["Origin"] = ann.bare.headers["Origin"] = origin
            assert may(preflight(ann.bare, ann.absolute("/api/uploads"), "POST", origin, "authorization,content-type"), origin, "POST",
                       ["authorization", "content-type"])
            answer = ann.create("general", b"hello")
            assert answer.headers["access-control-allow-origin"] == origin and "Origin" in answer.headers["vary"]
            upload = answer.json()
            put = ann.absolute(upload["put"]["url"])
            assert may(preflight(ann.bare, put, "PUT", origin, "content-type"), origin, "PUT", ["content-type"])
            answer = ann.send(upload["put"], b"hello")
            assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == origin
            file_id = ann.completed(upload)["attachment"]["id"]
            # a browser follows the redirect by itself: both answers have to allow it
            answer = ann.locate(file_id)
            assert answer.status_code == 302 and answer.headers["access-control-allow-origin"] == origin
            url = ann.absolute(answer.headers["location"])
            assert may(preflight(ann.bare, url, "GET", origin, "range"), origin, "GET", ["range"])
            answer = ann.bare.get(url, headers={"Range": "bytes=1-2"})
            assert answer.status_code == 206 and answer.content == b"el" and answer.headers["access-control-allow-origin"] == origin
            assert {"content-range", "etag", "content-disposition"} <= {h.lower() for h in answer.headers["access-control-expose-headers"].split(", ")}
            refused = ann.send({**upload["put"], "url": put + "0"}, b"hello")
            assert refused.status_code == 403 and refused.headers["access-control-allow-origin"] == origin  # a page may read why
        for stranger in (STRANGER, PAGE + ".evil.example", "null"):
            answer = preflight(ann.bare, ann.absolute("/api/uploads"), "POST", stranger, "authorization")
            assert "access-control-allow-origin" not in answer.headers and "access-control-allow-methods" not in answer.headers
            assert "access-control-allow-origin" not in ann.rest.get("/api/uploads/x", headers={"Origin": stranger}).headers
