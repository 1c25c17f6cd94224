"""Fixtures for all tests that run against a real stack."""

import asyncio
import inspect
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.stack import Stack  # noqa: E402


@pytest.fixture(scope="session")
def stack():
    """One stack for all tests that do not break it."""
    s = Stack(PARLEY_RATE_LIMITS="off")
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests on a loop of their own, with a deadline that no test should need."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=240))
    return True
