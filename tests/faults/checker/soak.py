"""Memory over the runs of a soak: what a single run may gain (levels.slack) hides a leak that many runs together show."""

from collections import defaultdict, namedtuple

LONG = 4                                     # runs that a process has to live through, to be judged
GROWS = {"nats-server": (1.3, 16), "postgres": (1.3, 16)}   # share and MB above the first run: a collector and caches of plans are at their size late
GROWS_SERVICE = (1.2, 8)                     # over five runs 0 to 1 MB, upload 18 to 21

Life = namedtuple("Life", "part pid levels")


class Soak:
    def __init__(self):
        self.lives = defaultdict(list)       # (stack, part, pid) -> MB after each run

    def add(self, stack, pids, levels):
        """pids: part -> process (the first of its family); levels: as levels.measure has them after a run."""
        for part, pid in pids.items():
            for kind in ("rss MB", "own MB"):
                if f"{part} {kind}" in levels:
                    self.lives[stack, part, pid].append(levels[f"{part} {kind}"])

    def long_lives(self):
        return [Life(part, pid, mb) for (_, part, pid), mb in self.lives.items() if len(mb) >= LONG]

    def grown(self):
        """What went on growing, as text; a process that was killed meanwhile begins anew."""
        for life in self.long_lives():
            share, mb = next((grows for part, grows in GROWS.items() if life.part.startswith(part)), GROWS_SERVICE)
            first, last = life.levels[0], life.levels[-1]
            if last > first * share + mb:
                yield f"{life.part} ({life.pid}) had {first} MB after its first run and {last} MB after {len(life.levels)}"
