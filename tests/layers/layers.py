#!/usr/bin/env python3
"""Checks that folders are layers, that adapters alone touch the outside, and that files and functions stay small.

usage: layers.py CHECKOUT        prints one line for each violation; exit 1 when there is one
"""

import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import rules

SKIPPED_FOLDERS = {"node_modules", "dist", "build", "__pycache__", ".deps", ".run", ".git"}
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]", re.MULTILINE)


@functools.cache
def glob_pattern(glob: str) -> re.Pattern:
    """`**/` any folders, `*` within one folder, `[ab]` a set"""
    out, i = "", 0
    while i < len(glob):
        if glob.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif glob.startswith("**", i):
            out, i = out + ".*", i + 2
        elif glob[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif glob[i] == "[":
            end = glob.index("]", i)
            out, i = out + glob[i : end + 1], end + 1
        else:
            out, i = out + re.escape(glob[i]), i + 1
    return re.compile(out + r"\Z")


def matches(path: str, globs: list[str]) -> bool:
    return any(glob_pattern(glob).match(path) for glob in globs)


def without_comments_and_strings(text: str) -> str:
    """The same text, of the same lines, with comments and the content of literals blanked out"""

    def blank(match: re.Match) -> str:
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    token = r"//(?:\\\n|[^\n])*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    return re.sub(token, blank, text, flags=re.DOTALL)


@dataclass
class Source:
    path: str  # relative to the checkout
    text: str

    @functools.cached_property
    def code(self) -> str:
        return without_comments_and_strings(self.text)

    @property
    def includes(self):
        """(line number, header, in <>) of each include"""
        # Comments alone are blanked: the name of a header is a string
        text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.text, flags=re.DOTALL)
        for match in INCLUDE.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match.group(2), match.group(1) == "<"

    @property
    def layer(self) -> tuple[str, str]:
        """("lib", "base"), ("services", "gateway"), ("tests", …), …"""
        parts = self.path.split("/")
        return parts[0], parts[1] if len(parts) > 2 else ""

    @property
    def is_ours_to_ship(self) -> bool:
        return self.layer[0] in ("lib", "services")

    @property
    def is_adapter(self) -> bool:
        return matches(self.path, rules.ADAPTERS)


class Checker:
    def __init__(self, root: Path):
        self.root = root
        self.violations: list[str] = []
        self.services = {p.name for p in (root / "services").glob("*") if p.is_dir()}

    def say(self, path: str, line: int, text: str) -> None:
        self.violations.append(f"{path}:{line}: {text}")

    # ---------------------------------------------------------------- includes

    def owner_of(self, source: Source, header: str) -> str | None:
        """Which part of ours a header belongs to: "base", "schema", "service gateway", …; None: none of ours"""
        if header.endswith(".pb-c.h"):
            return "schema"
        first = header.split("/")[0]
        if "/" in header and first in rules.LIBRARIES:
            return first
        if "/" in header and first in self.services:
            return f"service {first}"
        if (self.root / source.path).parent.joinpath(header).is_file():
            return "the same folder" if "/" not in header else "a relative path"
        return None

    def check_include(self, source: Source, line: int, header: str, angled: bool) -> None:
        kind, name = source.layer
        owner = None if angled else self.owner_of(source, header)
        if owner is None:
            self.check_foreign_include(source, line, header)
        elif owner == "a relative path":
            self.say(source.path, line, f"{header}: includes are relative to lib/ or services/")
        elif kind == "lib" and owner not in ("the same folder", name):
            if owner not in rules.LIBRARIES.get(name, []):
                self.say(source.path, line, f"{header}: lib/{name} may not include {owner}")
        elif kind == "services" and owner.startswith("service ") and owner != f"service {name}":
            self.say(source.path, line, f"{header}: services never include each other")

    def check_foreign_include(self, source: Source, line: int, header: str) -> None:
        if header in rules.SYSTEM_HEADERS:
            if source.is_ours_to_ship and not source.is_adapter and header in rules.CORE_FORBIDDEN_HEADERS:
                self.say(source.path, line, f"{header}: a core file has neither sockets nor threads")
            return
        globs = [glob for glob in rules.THIRD_PARTY if matches(header, [glob])]
        if not source.is_ours_to_ship:
            return
        if not globs:
            self.say(source.path, line, f"{header}: neither ours, nor the system's, nor a third party's in rules.py")
        elif header == "uv.h":
            if not source.is_adapter:
                self.say(source.path, line, "uv.h: only adapters know the loop")
        elif not matches(source.path, rules.THIRD_PARTY[globs[0]]):
            where = ", ".join(rules.THIRD_PARTY[globs[0]])
            self.say(source.path, line, f"{header}: may be included only in {where}")

    # ---------------------------------------------------------------- clocks

    def check_clocks(self, source: Source) -> None:
        if not source.is_ours_to_ship or source.is_adapter:
            return
        for number, line in enumerate(source.code.split("\n"), 1):
            for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
                if match.group(1) in rules.CLOCKS:
                    self.say(source.path, number, f"{match.group(1)}(): a core file takes `now` as an argument")

    # ---------------------------------------------------------------- sizes

    def check_file_size(self, path: str, text: str) -> None:
        n = text.count("\n")
        limit = rules.MAX_FILE_LINES
        if re.fullmatch(r"services/[^/]+/main\.c", path):
            limit = rules.MAX_MAIN_LINES
        if n > limit and path not in rules.SIZE_EXCEPTIONS:
            self.say(path, limit + 1, f"{n} lines, at most {limit}")

    def check_functions(self, source: Source) -> None:
        """A function is what clang-format leaves: a name with parentheses, then { and } in the first column"""
        lines = source.code.split("\n")
        start, head = None, ""
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
                head = " ".join(lines[max(0, number - 8) : number - 1])
            elif line.startswith("}") and start is not None:
                self.check_function(source.path, start, number - start - 1, head)
                start = None

    def check_function(self, path: str, line: int, n: int, head: str) -> None:
        names = re.findall(r"(\w+)\s*\((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\)\s*$", head)
        name = names[-1] if names else "?"
        if n > rules.MAX_FUNCTION_LINES and f"{path}:{name}" not in rules.SIZE_EXCEPTIONS:
            self.say(path, line, f"{name} has {n} lines, at most {rules.MAX_FUNCTION_LINES}")

    def check_exceptions_are_needed(self) -> None:
        for entry in rules.SIZE_EXCEPTIONS:
            if not (self.root / entry.split(":")[0]).is_file():
                self.say("tests/layers/rules.py", 1, f"SIZE_EXCEPTIONS: there is no {entry}")

    # ---------------------------------------------------------------- leftovers

    def check_unfinished(self, path: str, text: str) -> None:
        for number, line in enumerate(text.split("\n"), 1):
            for mark in rules.UNFINISHED:
                if re.search(rf"\b{mark}\b", line):
                    self.say(path, number, f"{mark}: finish it, or say why it is as it is")

    # ---------------------------------------------------------------- all

    def files(self):
        for top in ("lib", "services", "bench", "tests", "scripts", "web"):
            for path in sorted((self.root / top).rglob("*")):
                relative = path.relative_to(self.root)
                if path.is_file() and not path.is_symlink() and not SKIPPED_FOLDERS & set(relative.parts):
                    yield relative.as_posix()

    def run(self) -> list[str]:
        for path in self.files():
            sized = matches(path, rules.SIZED_FILES)
            if not sized:
                continue
            text = (self.root / path).read_text(encoding="utf-8")
            self.check_file_size(path, text)
            if not path.startswith("tests/layers/"):
                self.check_unfinished(path, text)
            if path.endswith((".c", ".h")):
                source = Source(path, text)
                for line, header, angled in source.includes:
                    self.check_include(source, line, header, angled)
                self.check_clocks(source)
                self.check_functions(source)
        self.check_exceptions_are_needed()
        return self.violations


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    checker = Checker(Path(argv[1]))
    violations = checker.run()
    for violation in violations:
        print(violation)
    print(f"layers: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
