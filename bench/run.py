#!/usr/bin/env python3
"""Runs benchmark scenarios. Started by scripts/bench, which has built what is measured."""

import argparse
import importlib.util
import resource
import sys
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests"), str(Path(__file__).resolve().parent)]

from harness import figures, table  # noqa: E402
from harness.context import RESULTS, Context  # noqa: E402
from harness.load import LoadError  # noqa: E402
from harness.result import read  # noqa: E402
from harness.system import BENCH, peers  # noqa: E402
from support.signals import end_as_interrupted  # noqa: E402

MIN_SECONDS = 1.5  # of a load: in less, a queue that grows all the time is not seen
FILES = 12000  # open files that a generator with 10,000 connections needs, and the gateway


def scenarios():
    """{name: module} of bench/scenarios/*.py, each with HELP, run(ctx), and chart(results) -> (title, unit, rows)."""
    found = {}
    for path in sorted((BENCH / "scenarios").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"scenario_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.stem] = module
    return found


def parse(argv, known):
    parser = argparse.ArgumentParser(prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__.split(".")[0] + (
        ": Parley beside the raw limits of the machine, and peers, in the same run.\n"
        "Prints one JSON line a system on standard output, then a table; writes bench/results/SCENARIO[-CONNS][-SYSTEMS].jsonl and .svg."),
        epilog="scenarios:\n" + "\n".join(f"  {name:<11}{module.HELP}" for name, module in known.items()))
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="which to run; all when none is named")
    parser.add_argument("--only", metavar="NAME[,NAME]", help="the same as naming them")
    parser.add_argument("--list", action="store_true", help="names the scenarios and the systems")
    parser.add_argument("--quick", action="store_true", help="under three minutes, for counts and ratios; fails when one is out of its bound; writes no files")
    parser.add_argument("--systems", metavar="NAME[,NAME]", default="parley", help="what is measured beside the raw limits (parley)")
    parser.add_argument("--peers", action="store_true", help="all systems that are installed")
    parser.add_argument("--conns", metavar="N[,N]", help="connections, for fanout and idle")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs of each, interleaved; the median counts (3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of one load (4)")
    parser.add_argument("--table", action="store_true", help="measures nothing; prints the tables of bench/results")
    parser.add_argument("--docs", action="store_true", help="measures nothing; writes the tables of README.md and docs/operations.md from bench/results")
    parser.add_argument("--check", action="store_true", help="fails where these tables are not what bench/results has")
    parser.add_argument("--name", help="of the files in bench/results, instead of the scenario's with --conns and the systems beside Parley")
    args = parser.parse_args(argv)
    args.given = argv
    args.repeat = (1 if args.quick else 3) if args.repeat is None else args.repeat
    args.seconds = (2 if args.quick else 4) if args.seconds is None else args.seconds
    if args.seconds < MIN_SECONDS or args.repeat < 1:
        parser.error(f"--seconds takes {MIN_SECONDS:g} or more, of which half a second warms up, and --repeat 1 or more")
    try:
        args.conns = [int(n) for n in args.conns.split(",")] if args.conns else None
    except ValueError:
        parser.error(f"--conns is '{args.conns}': takes numbers, with commas between them")
    args.names = args.scenario + (args.only.split(",") if args.only else []) or [n for n in known if not args.quick or hasattr(known[n], "QUICK")]
    for name in args.names:
        if name not in known:
            parser.error(f"there is no scenario '{name}'; there are: {', '.join(known)}")
    return parser, args


def raise_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        sys.exit(f"scripts/bench: this shell may open {hard} files and 10,000 connections need {FILES}: raise the limit (ulimit -Hn {FILES}, as root), "
                 "or name scenarios and --conns that need fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def choose(parser, args, known):
    wanted = list(known) if args.peers else args.systems.split(",")
    for name in wanted:
        if name not in known:
            parser.error(f"there is no system '{name}'; there are: {', '.join(known)}")
    return {name: known[name] for name in wanted}


def print_tables():
    for path in sorted(RESULTS.glob("*.jsonl")):
        header, results, _ = read(path)
        print(f"### {path.stem}\n\n`{header['command']}`, {header['machine']}, {header['date']}, commit {header['commit']}\n\n{table.markdown(results)}\n")


def run_one(name, module, args, systems):
    ctx = Context(name, args, systems)
    try:
        module.run(ctx)
        ctx.finish(module.chart)
    except Exception as error:  # the scenarios after it are run
        if not isinstance(error, (AssertionError, LoadError, OSError)):
            traceback.print_exc()
        print(f"scripts/bench: {name}: {error or type(error).__name__}", file=sys.stderr)
        return [(name, None, None, False)]
    finally:
        ctx.close()
    return ctx.checks


def main(argv):
    known = scenarios()
    parser, args = parse(argv, known)
    from harness.parley import Parley
    installed = {"parley": Parley, **peers()}
    if args.list:
        print("\n".join(f"{name:<19}{module.HELP}" for name, module in known.items()) + "\n\nsystems:")
        print("\n".join(f"{name:<19}{system.what}" for name, system in installed.items()))
        return 0
    if args.table:
        print_tables()
        return 0
    if args.docs or args.check:
        stale = figures.docs(args.check)
        if args.check and stale:
            print(f"scripts/bench: {', '.join(stale)} do not show what bench/results has: scripts/bench --docs writes them", file=sys.stderr)
        return 1 if args.check and stale else 0
    systems = choose(parser, args, installed)
    raise_files()
    checks = [check for name in args.names for check in run_one(name, known[name], args, systems)]
    failed = [what for what, *_, ok in checks if not ok]
    if checks:
        print(f"bench: {len(checks) - len(failed)} of {len(checks)} counts hold" + (f"; not: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    end_as_interrupted()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("scripts/bench: interrupted; what it had started is stopped")
