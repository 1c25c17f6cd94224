#!/usr/bin/env python3
"""What scripts/bench takes. Needs nothing that has to be installed first: scripts/bench asks here before it installs and builds."""

import argparse
import ast
import math
import os
import re
import sys
from pathlib import Path

# Their HELP is read and not imported: they need what is installed later
SCENARIOS = {path.stem: ast.literal_eval(re.search(r'^HELP = (".*")$', path.read_text(), re.M)[1])
             for path in sorted((Path(__file__).resolve().parent / "scenarios").glob("*.py"))}
MIN_SECONDS = 1.5  # of a load: in less, a queue that grows all the time is not seen
SIZES = ("PARLEY_BENCH_EVENTS", "PARLEY_BENCH_MESSAGES")  # of ingest and history, for who tries them
OTHERWISE = ("list", "table", "docs", "check")  # ways to run that measure nothing


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= MIN_SECONDS):
        raise argparse.ArgumentTypeError(f"'{text}': takes {MIN_SECONDS:g} or more, of which half a second warms up")
    return value


def count(text):
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}': takes a whole number of 1 or more")
    return int(text)


def counts(text):
    return [count(one) for one in text.split(",")]


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, description=(
        "Runs benchmark scenarios: Parley beside the raw limits of the machine, and peers, in the same run.\n"
        "Prints one JSON line a system on standard output, then a table; writes bench/results/SCENARIO[-CONNS][-SYSTEMS].jsonl and .svg."),
        epilog="scenarios:\n" + "\n".join(f"  {name:<11}{what}" for name, what in SCENARIOS.items()))
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="which to run; all when none is named")
    parser.add_argument("--only", metavar="NAME[,NAME]", help="the same as naming them")
    parser.add_argument("--list", action="store_true", help="names the scenarios and the systems")
    parser.add_argument("--quick", action="store_true", help="under three minutes, for counts and ratios; fails when one is out of its bound; writes no files")
    parser.add_argument("--systems", metavar="NAME[,NAME]", help="what is measured beside the raw limits (parley)")
    parser.add_argument("--peers", action="store_true", help="all systems that are installed")
    parser.add_argument("--conns", type=counts, metavar="N[,N]", help="connections, for fanout and idle")
    parser.add_argument("--repeat", type=count, metavar="N", help="runs of each, interleaved; the median counts (3)")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="length of one load (4)")
    parser.add_argument("--table", action="store_true", help="measures nothing; prints the tables of bench/results")
    parser.add_argument("--docs", action="store_true", help="measures nothing; writes the tables of README.md and docs/operations.md from bench/results")
    parser.add_argument("--check", action="store_true", help="fails where these tables are not what bench/results has")
    parser.add_argument("--name", help="of the files in bench/results, instead of the scenario's with --conns and the systems beside Parley")
    parser.add_argument("--named", action="store_true", help=argparse.SUPPRESS)  # says whether the systems are known, before anything is built
    args = parser.parse_args(argv)
    args.given = [word for word in argv if word != "--named"]
    check(parser, args)
    args.repeat = (1 if args.quick else 3) if args.repeat is None else args.repeat
    args.seconds = (2 if args.quick else 4) if args.seconds is None else args.seconds
    args.names = args.scenario + (args.only.split(",") if args.only else [])
    for name in args.names:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario '{name}'; there are: {', '.join(SCENARIOS)}")
    return parser, args


def check(parser, args):
    """What would be passed over in silence, and what the environment says."""
    otherwise = [name for name in OTHERWISE if getattr(args, name)]
    measuring = [f"--{name}" for name in ("only", "quick", "systems", "peers", "conns", "repeat", "seconds", "name") if getattr(args, name)] + args.scenario
    if otherwise and measuring:
        parser.error(f"{measuring[0]} means nothing with --{otherwise[0]}, which measures nothing")
    if args.systems and args.peers:
        parser.error("--systems names them, and --peers takes all: one of both")
    if args.quick and args.name:
        parser.error("--name means nothing with --quick, which writes no files")
    for name in SIZES:
        try:
            count(os.environ.get(name, "1"))
        except argparse.ArgumentTypeError as error:
            parser.error(f"{name} is {error}")


if __name__ == "__main__":
    parse(sys.argv[1:])
