"""An upload given up, or its file deleted, while a completion of it is under way: whoever comes second makes no file without bytes, and none
that does not count."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.s3_proxy import Proxy
from support.uploads import Uploader, counted, problem


@pytest.fixture(scope="module")
def stack(shared_stack):
    return shared_stack("release", "s3")


@pytest.fixture
def proxied(stack):
    with Proxy(8433 + stack.offset) as proxy:
        stack.stop("upload")
        stack.start("upload", PARLEY_S3_ENDPOINT=proxy.url, PARLEY_S3_PUBLIC_ENDPOINT=f"http://127.0.0.1:{8433 + stack.offset}", PARLEY_S3_BUCKET="parley",
                    PARLEY_S3_ACCESS_KEY_ID="parley", PARLEY_S3_SECRET_ACCESS_KEY_FILE=stack.run_dir / "s3.secret", PARLEY_S3_TIMEOUT_MS=60000)
        yield proxy
    stack.stop("upload")
    stack.start("upload")


@pytest.mark.parametrize("user", ["gives-up", "deletes"])
async def test_second_to_come(stack, proxied, user):
    with Uploader(stack, user) as ann, ThreadPoolExecutor(1) as pool:
        kept = ann.uploaded("general", b"x" * 1000)["attachment"]["id"]
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        proxied.hold_next("GET")  # it is sealed, and was looked at
        late = pool.submit(ann.complete, upload)
        assert proxied.held.wait(20)
        with Uploader(stack, user) as other:
            if user == "deletes":
                other.completed(upload)
                assert other.delete(upload["id"]).status_code == 204
            else:
                assert other.abort(upload).status_code == 204
            if user == "deletes":
                other.sent(upload["put"], b"hello")
        proxied.go_on.set()
        answer = late.result(30)
        print(answer.status_code, answer.text)
        assert ann.locate(upload["id"]).status_code == 404
        assert ann.delete(upload["id"]).status_code == 404
        assert await counted(stack, user) == (1000, 1, 0)
        assert ann.read(kept).status_code == 200


@pytest.mark.parametrize("user", ["completes-too", "gives-up-too"])
async def test_while_it_is_sealed(stack, proxied, user):
    """Who comes while the store is at it is told to come again, and finds how it ended"""
    with Uploader(stack, user) as ann, Uploader(stack, user) as other, ThreadPoolExecutor(1) as pool:
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        proxied.hold_next("HEAD")  # the first thing that is asked for
        late = pool.submit(ann.complete, upload)
        assert proxied.held.wait(20)
        again = other.complete if user == "completes-too" else other.abort
        answer = again(upload)
        problem(answer, 503, "unavailable", "being written or ended right now; try again")
        assert answer.json()["retryMs"] > 0 and not late.done()
        proxied.go_on.set()
        if user == "completes-too":
            assert late.result(30).json()["attachment"] == again(upload).json()["attachment"]
            assert await counted(stack, user) == (5, 1, 0) and ann.read(upload["id"]).content == b"hello"
        else:  # it was to end before it was a file
            problem(late.result(30), 404, "not_found")
            assert again(upload).status_code == 204
            assert await counted(stack, user) == (0, 0, 0) and ann.locate(upload["id"]).status_code == 404
