"""scripts/images --base: which archives of Debian the base is made from, and that it is brought up to date with them."""

import os
import shutil
import subprocess

import pytest
from support_chart import ROOT

MAIN = "Debian|bookworm|main|http://mirror.example/debian/"
SECURITY = "Debian|bookworm-security|main|http://mirror.example/debian-security/"
OTHER = "Other|trixie|main|http://other.example/debian/"
UPDATES = ["deb http://mirror.example/debian/ trixie main", "deb http://mirror.example/debian/ trixie-updates main"]

# What the machine has besides, as little of it as the script asks for; docker keeps what is imported
STUBS = {
    "apt-get": 'cat "$TRIAL/targets"',
    "debootstrap": 'mkdir -p "$3/etc/apt" "$3/etc/dpkg/dpkg.cfg.d" "$3/var/cache/apt" && echo "$*" >>"$TRIAL/calls"',
    "chroot": 'shift; echo "$*" >>"$TRIAL/calls"; [ ! -e "$TRIAL/unreachable" ]',
    "docker": 'if [ "$1" = import ]; then mkdir "$TRIAL/base" && tar -xC "$TRIAL/base"; fi',
}


class Trial:
    def __init__(self, folder):
        self.folder = folder
        (folder / "scripts").mkdir()
        (folder / "bin").mkdir()
        shutil.copy(ROOT / "scripts/images", folder / "scripts/images")
        shutil.copy(ROOT / "CMakeLists.txt", folder)
        (folder / "scripts/lib").symlink_to(ROOT / "scripts/lib")
        for name, text in STUBS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)

    def run(self, *targets):
        (self.folder / "targets").write_text("".join(f"{target}\n" for target in targets))
        environment = {name: value for name, value in os.environ.items() if name not in ("DOCKER", "PARLEY_IMAGE_BASE")}
        return subprocess.run([self.folder / "scripts/images", "--base"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=environment | {"TRIAL": str(self.folder), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})

    def sources(self):
        return (self.folder / "base/etc/apt/sources.list").read_text().splitlines()

    def calls(self):
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def trial(tmp_path):
    return Trial(tmp_path)


def test_base_has_the_security_archive(trial):
    done = trial.run(OTHER, MAIN, SECURITY)
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout
    assert trial.sources() == [*UPDATES, "deb http://mirror.example/debian-security/ trixie-security main"]
    made, updated, upgraded = trial.calls()
    assert made.endswith("/base http://mirror.example/debian/") and " trixie " in made
    assert updated.startswith("apt-get -q update") and upgraded == "apt-get -q -y dist-upgrade"


def test_base_says_when_there_is_no_security_archive(trial):
    done = trial.run(MAIN)
    assert done.returncode == 0 and "no security archive" in done.stdout, done.stdout
    assert trial.sources() == UPDATES


def test_base_is_debians_own_where_apt_names_none(trial):
    done = trial.run()
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in trial.sources()] == ["http://deb.debian.org/debian"] * 2 + ["http://deb.debian.org/debian-security"]


def test_base_that_is_not_up_to_date_is_none(trial):
    (trial.folder / "unreachable").touch()
    done = trial.run(MAIN, SECURITY)
    assert done.returncode == 1 and "could not be brought up to date" in done.stdout, done.stdout
    assert not (trial.folder / "base").exists()
