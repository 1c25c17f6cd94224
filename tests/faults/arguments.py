#!/usr/bin/env python3
"""What scripts/faults takes. Needs nothing that has to be installed first: scripts/faults asks here before it installs and builds."""

import argparse
import math
import sys
from pathlib import Path

BUILDS = Path(__file__).resolve().parents[2] / "build"
BUILT = ("release", "faults")   # by scripts/faults itself
# What each way to run has no use for: said, for who asks for it expects something
WITHOUT = {"list": ("only", "quick", "seed", "minutes", "planted", "mutations", "build", "keep"), "planted": ("minutes", "mutations", "keep"),
           "mutations": ("quick", "minutes", "build", "keep"), "only": ("quick",)}


def minutes(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no time: takes minutes, more than 0")
    return value


def build(text):
    if text not in BUILT and not (BUILDS / text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no build '{text}': cmake --preset {text} && cmake --build --preset {text} makes one of a preset")
    return text


def names(text):
    if not all(text.split(",")):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty name: takes names with commas between them")
    return text


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Runs faults under load and proves the invariants.", allow_abbrev=False)
    parser.add_argument("--list", action="store_true", help="name the faults")
    parser.add_argument("--only", type=names, metavar="A,B", help="these faults; with --planted or --mutations these of those")
    parser.add_argument("--quick", action="store_true", help="the subset for CI: 5 minutes at most; with --planted some of those")
    parser.add_argument("--seed", type=int, help="of what is random in the load and the faults; printed at the start")
    parser.add_argument("--minutes", type=minutes, help="soak: random faults in turn until then")
    parser.add_argument("--planted", action="store_true", help="test the checker: faults planted in a proxy before a sound server")
    parser.add_argument("--mutations", action="store_true", help="test the checker: the server itself made wrong, built and run")
    parser.add_argument("--build", type=build, help="the preset whose services run, instead of what each fault asks for")
    parser.add_argument("--keep", type=Path, help="where the records of failed runs go (build/faults-records)")
    parser.add_argument("--named", action="store_true", help=argparse.SUPPRESS)  # says whether the names are known, before anything is built
    arguments = parser.parse_args(argv)
    given = {name for name, value in vars(arguments).items() if value is not None and value is not False}
    for way, others in WITHOUT.items():
        for other in given.intersection(others) if way in given else ():
            parser.error(f"--{other} means nothing with --{way}")
    arguments.keep = arguments.keep or Path("build/faults-records")
    return arguments


if __name__ == "__main__":
    parse(sys.argv[1:])
