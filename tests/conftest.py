"""Fixtures for all tests that run against a real stack."""

import asyncio
import inspect
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.compose import LOCAL, ComposeStack  # noqa: E402
from support.stack import Stack  # noqa: E402

COMPOSE = os.environ.get("PARLEY_TEST_COMPOSE") == "1"


def pytest_collection_modifyitems(items):
    """Against containers only those run that take the stack as it is."""
    for item in items if COMPOSE else ():
        fixtures = set(item.fixturenames)
        if hasattr(item, "callspec") and "s3" in item.callspec.params.values():
            fixtures.add("s3_stack")
        if not fixtures & {"stack", "stack_with"} or fixtures & {"own_stack", "shared_stack", "s3_stack"}:
            item.add_marker(pytest.mark.skip(reason=LOCAL))


@pytest.fixture(scope="session")
def plain_stack():
    s = ComposeStack() if COMPOSE else Stack(PARLEY_RATE_LIMITS="off")
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture(scope="session")
def stack(plain_stack):
    """One stack for all tests that do not break it."""
    return plain_stack


@pytest.fixture(scope="module")
def stack_with():
    """Starts a stack with settings that containers can have as well, for all tests of a module: stack_with(PARLEY_X=1)."""
    started = {}

    def start(**env):
        key = tuple(sorted(env.items()))
        if key not in started:
            n = len(started) + 1
            started[key] = ComposeStack(f"parley-test-{n}", f"10.231.{77 + n}.0/24", **env) if COMPOSE else Stack(**env)
            started[key].up()
        return started[key]

    yield start
    for s in started.values():
        s.down()


@pytest.fixture(scope="session")
def s3_stack():
    """The same, with files in an S3 server."""
    s = Stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE="s3")
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def own_stack(request):
    """Starts stacks with their own settings: own_stack(PARLEY_X=1)."""
    started = []

    def start(build="release", **env):
        s = Stack(build=build, **env)
        started.append(s)
        return s.up()

    yield start
    for s in started:
        if request.session.testsfailed:
            print(s.logs(40))
        s.down()


@pytest.fixture(scope="module")
def two(request):
    """A stack with two gateways, and what the module names as SETTINGS."""
    s = Stack(PARLEY_RATE_LIMITS="off", **request.module.SETTINGS)
    try:
        s.up().second_gateways(2)
        yield s
    finally:
        s.down()


@pytest.fixture(scope="module")
def shared_stack(request):
    """Stacks for the tests of a module that break them and mend them again, one a build and a store: shared_stack("faults", "s3").
    What does not run is started."""
    stacks, failed_before = {}, request.session.testsfailed

    def get(build="release", store="local"):
        if (build, store) not in stacks:
            stacks[build, store] = Stack(build=build, PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store)
        return stacks[build, store].up()

    yield get
    for s in stacks.values():
        if request.session.testsfailed > failed_before:
            print(s.logs(40))
        s.down()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests on a loop of their own, with a deadline that no test should need."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=240))
    return True
