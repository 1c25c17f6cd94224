#!/usr/bin/env python3
"""Runs benchmark scenarios. Started by scripts/bench, which has built what is measured."""

import importlib.util
import resource
import sys
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests"), str(Path(__file__).resolve().parent)]

from arguments import parse  # noqa: E402
from harness import figures, table  # noqa: E402
from harness.context import RESULTS, Context  # noqa: E402
from harness.load import LoadError  # noqa: E402
from harness.result import read  # noqa: E402
from harness.system import BENCH, peers  # noqa: E402
from support.signals import end_as_interrupted  # noqa: E402

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


def raise_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        sys.exit(f"scripts/bench: this shell may open {hard} files and 10,000 connections need {FILES}: raise the limit (ulimit -Hn {FILES}, as root), "
                 "or name scenarios and --conns that need fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def choose(parser, args, scenarios, known):
    wanted = list(known) if args.peers else (args.systems or "parley").split(",")
    for name in wanted:
        if name not in known:
            parser.error(f"there is no system '{name}'; there are: {', '.join(known)}")
    alone = [name for name in args.names if hasattr(scenarios[name], "PARLEY_ALONE")]
    if alone and "parley" not in wanted:
        parser.error(f"{alone[0]} measures Parley alone, which is not among --systems {args.systems}")
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
    parser, args = parse(argv)
    args.names = args.names or [name for name in known if not args.quick or hasattr(known[name], "QUICK")]
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
    systems = choose(parser, args, known, installed)
    if args.named:
        return 0
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
        sys.exit("scripts/bench: interrupted")
