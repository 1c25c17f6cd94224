"""What it costs to look at completed files: whoever completes costly ones waits for that himself."""

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.stack import Stack, wait_until
from support.uploads import Uploader, problem

FILES, HEAD = 30, 64 << 10
# Over and over, as much as is looked at. The second one takes libmagic 20 to 30 times as long as other content; so did the first, four times more,
# before runs of blanks were shortened.
COSTLY = [b"\n", b"(;"]
# How much more of the loop's processor time a costly completion may take than a plain one. Looked at on the loop they took fifteen times as much.
FACTOR = 4


def user():
    return "u" + uuid.uuid4().hex[:12]


@pytest.fixture(scope="module")
def checks_stack():
    s = Stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_MAX_USER_CHECKS=2 * FILES)
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def people(checks_stack):
    made = []

    def new():
        uploader = Uploader(checks_stack, user())
        made.append(uploader)
        uploader.room = checks_stack.channel(uploader.user)
        return uploader

    yield new
    for uploader in made:
        uploader.close()


def loop_cpu_s(stack):
    """Processor time of the thread that runs the loop: the first one"""
    pid = stack.pid("upload")
    with open(f"/proc/{pid}/task/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e9


def ready_to_complete(uploader, contents):
    """Uploads that have all of their bytes"""
    made = []
    for data in contents:
        upload = uploader.created(uploader.room, data)
        uploader.sent(upload["put"], data)
        made.append(upload)
    return made


def complete_all(uploader, uploads, refused):
    """All at once, each again until it is taken; refused: what else was answered is added to it"""
    def one(upload):
        def taken():
            answer = uploader.complete(upload)
            if answer.status_code != 200:
                refused.append(answer)
            return answer.status_code == 200

        wait_until(taken, 60, "it is completed", interval=0.2)

    with ThreadPoolExecutor(len(uploads)) as pool:
        list(pool.map(one, uploads))


def cost_of(stack, uploader, contents):
    refused = []
    uploads = ready_to_complete(uploader, contents)
    before = loop_cpu_s(stack)
    complete_all(uploader, uploads, refused)
    return loop_cpu_s(stack) - before, refused


def test_costly_contents_hold_up_their_sender_alone(checks_stack, people):
    mallory, bob = people(), people()
    plain, _ = cost_of(checks_stack, mallory, [os.urandom(HEAD) for _ in range(FILES)])
    over, begun = threading.Event(), []

    def go_on():
        while not over.is_set():
            begun.append(bob.abort(bob.created(bob.room, b"12345")).status_code)

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(go_on)
        try:
            costly, refused = cost_of(checks_stack, mallory, [(COSTLY[i % 2] * HEAD)[:HEAD] for i in range(FILES)])
        finally:
            over.set()
        others.result()
    assert set(begun) == {204}
    # bob's requests are in it: what they take is measured by themselves
    before = loop_cpu_s(checks_stack)
    for _ in begun:
        assert bob.abort(bob.created(bob.room, b"12345")).status_code == 204
    bobs = loop_cpu_s(checks_stack) - before
    assert costly < FACTOR * plain + 2 * bobs, f"{costly:.3f} s of the loop; plain files {plain:.3f} s, {len(begun)} uploads of another {bobs:.3f} s"
    assert not refused, refused[0].text
    wait_until(lambda: checks_stack.metric("upload", "parley_upload_checks_waiting") == 0, 10, "nothing waits")


def test_too_many_at_once_are_put_off(checks_stack, people):
    ann, refused = people(), []
    checks_stack.stop("upload")
    checks_stack.start("upload", PARLEY_UPLOAD_MAX_USER_CHECKS=1)

    def one_is_refused():
        complete_all(ann, ready_to_complete(ann, [(b"(;" * HEAD)[:HEAD] for _ in range(8)]), refused)
        return refused

    wait_until(one_is_refused, 120, "one comes while another one waits")
    for answer in refused:
        problem(answer, 429, "rate_limited", "looked at")
        assert answer.json()["retryMs"] == 1000
    assert checks_stack.metric("upload", "parley_upload_checks_refused_total") == len(refused)


def test_a_service_that_stops_while_files_are_looked_at(checks_stack, people):
    ann = people()
    uploads = ready_to_complete(ann, [(b"(;" * HEAD)[:HEAD] for _ in range(8)])
    with ThreadPoolExecutor(len(uploads)) as pool:
        asked = [pool.submit(ann.complete, upload) for upload in uploads]
        wait_until(lambda: any(each.done() for each in asked), 30, "they have come")
        checks_stack.stop("upload")
        answers = [each.result().status_code for each in asked]
    assert set(answers) <= {200, 429, 502, 503}, answers
    checks_stack.start("upload")
    complete_all(ann, uploads, [])
