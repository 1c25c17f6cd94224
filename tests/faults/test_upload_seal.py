"""A body that is sent while its upload is being completed: what was looked at is what is published."""

import hashlib
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import pytest
from support.stores import STORES
from support.uploads import Uploader, problem

PLACES = {"local": "upload.local_seal", "s3": "upload.s3_copy"}


@pytest.mark.parametrize("store", STORES)
def test_replaced_while_it_is_sealed(shared_stack, store):
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=f"{PLACES[store]}=sleep3000")
    with Uploader(stack, "swaps") as ann, Uploader(stack, "swaps") as other, ThreadPoolExecutor(1) as pool:
        upload = ann.created("general", b"looked at")
        ann.sent(upload["put"], b"looked at")
        done = pool.submit(ann.complete, upload)
        with pytest.raises(TimeoutError):
            done.result(1)  # it stands in the middle
        answer = other.send(upload["put"], b"swapped!!")
        if store == "local":
            problem(answer, 503, "unavailable", "being completed")
        else:
            assert answer.status_code == 200  # it lands beside the object
        assert not done.done()
        attachment = done.result(30).json()["attachment"]
        assert hashlib.sha256(ann.read(upload["id"]).content).hexdigest() == attachment["sha256"]
