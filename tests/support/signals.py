"""How a long run ends before its time."""

import contextlib
import signal

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_as_interrupted():
    """TERM and HUP end this process as ^C does: what it has started is stopped. A HUP that whoever started it wants ignored (nohup) stays so;
    ^C does not: a shell has all that it starts behind & ignore it, and TERM would be ignored with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


@contextlib.contextmanager
def held_back():
    """What is done here is done whole: a signal that would end this process does so behind it. In the main thread only."""
    pressed = []
    before = {number: signal.getsignal(number) for number in ENDS}
    for number in (n for n in ENDS if before[n] not in (signal.SIG_IGN, None)):
        signal.signal(number, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        for number in (n for n in ENDS if before[n] not in (signal.SIG_IGN, None)):
            signal.signal(number, before[number])
        if pressed:
            signal.raise_signal(pressed[0])
