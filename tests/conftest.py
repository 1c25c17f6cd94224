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


def pytest_collection_modifyitems(config, items):
    """Against containers only those run that ask for a stack: in the others there is nothing of the images."""
    if COMPOSE:
        others = [item for item in items if not {"new_stack", "stack"} & set(item.fixturenames)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def new_stack():
    """Makes stacks with settings of their own, which are not up yet: new_stack(PARLEY_X=1). Against containers it makes some of containers."""
    def make(build="release", **env):
        if not COMPOSE:
            return Stack(build=build, **env)
        if build != "release" or any("127.0.0.1" in str(value) or str(value).startswith("/") for value in env.values()):
            pytest.skip(LOCAL)
        return ComposeStack(**env)
    return make


@pytest.fixture(scope="session")
def plain_stack(new_stack):
    s = new_stack(PARLEY_RATE_LIMITS="off")
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture(scope="session")
def stack(plain_stack):
    """One stack for all tests that do not break it."""
    return plain_stack


@pytest.fixture(scope="module")
def stack_with(new_stack):
    """Starts a stack for all tests of a module that want the same settings: stack_with(PARLEY_X=1)."""
    started = {}

    def start(**env):
        key = tuple(sorted(env.items()))
        if key not in started:
            started[key] = new_stack(**env)
            started[key].up()
        return started[key]

    yield start
    for s in started.values():
        s.down()


@pytest.fixture(scope="session")
def s3_stack(new_stack):
    """The same, with files in an S3 server."""
    s = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE="s3")
    try:
        yield s.up()
    finally:
        s.down()


@pytest.fixture
def own_stack(request, new_stack):
    """Starts stacks with their own settings: own_stack(PARLEY_X=1)."""
    started = []

    def start(build="release", **env):
        s = new_stack(build=build, **env)
        started.append(s)
        return s.up()

    yield start
    for s in started:
        if request.session.testsfailed:
            print(s.logs(40))
        s.down()


@pytest.fixture(scope="module")
def two(request, new_stack):
    """A stack with two gateways, and what the module names as SETTINGS."""
    s = new_stack(PARLEY_RATE_LIMITS="off", **request.module.SETTINGS)
    try:
        s.up().second_gateways(2)
        yield s
    finally:
        s.down()


@pytest.fixture(scope="module")
def shared_stack(request, new_stack):
    """Stacks for the tests of a module that break them and mend them again, one a build and a store: shared_stack("faults", "s3").
    What does not run is started."""
    stacks, failed_before = {}, request.session.testsfailed

    def get(build="release", store="local"):
        if (build, store) not in stacks:
            stacks[build, store] = new_stack(build=build, PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store)
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
