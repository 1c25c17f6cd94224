"""Where something was measured, and what: for whoever reads the figures later."""

import os
import platform
import subprocess
from pathlib import Path

from .stack import ROOT


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
                 platform.machine())  # not every processor has a name there
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return f"{os.cpu_count()} × {model}, {memory / 1048576:.0f} GB, Linux {platform.release().split('-')[0]}"


def commit_of(*paths, root=ROOT):
    """(The last commit that changed one of these paths, or any, and whether they were changed since); "unknown" where git knows nothing of this tree."""
    def git(*args):
        try:
            return subprocess.run(["git", "-C", str(root), *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        except OSError:
            return ""  # no git
    commit = git("log", "-1", "--format=%h", "--abbrev=10", "--", *paths)
    return commit or "unknown", bool(commit and git("status", "--porcelain", "--untracked-files=no", "--", *paths))
