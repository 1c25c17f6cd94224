"""Small disks of our own, so that they can be full: file systems in memory. Only root may mount them."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

from fault import Skipped


def _run(*command):
    """Out of reach of the ^C of a terminal, which would leave half of it done"""
    return subprocess.run(command, capture_output=True, text=True, start_new_session=True)


class SmallDisk:
    def __init__(self, path, megabytes):
        self.path = Path(path)
        self.ballast = self.path / "ballast"
        self.path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            raise Skipped("a small disk has to be mounted, which only root may")
        try:
            mounted = _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "parley-fault", str(self.path))
        except BaseException:  # it may be there all the same
            self.unmount()
            raise
        if mounted.returncode != 0:
            raise Skipped(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")

    @classmethod
    def in_place_of(cls, folder, megabytes):
        """Mounted where a folder was, with all that was in it, owners and modes kept. When it cannot be, the folder is as it was. (The kernel
        moves no mount out of a shared one, and below systemd all are: so it is mounted where it stays.)"""
        aside, disk = folder.with_name(folder.name + ".aside"), None
        folder.rename(aside)
        try:
            disk = cls(folder, megabytes)
            _run("cp", "-a", f"{aside}/.", str(folder)).check_returncode()
        except BaseException:
            if disk:
                disk.unmount()
            folder.rmdir()
            aside.rename(folder)
            raise
        shutil.rmtree(aside)
        return disk

    def fill(self):
        """Takes all that is left, in the name of root. Returns how much that was; ENOSPC is what says that it is full."""
        taken = 0
        fd = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for chunk in (1 << 20, 4096):
                while True:
                    try:
                        taken += os.write(fd, b"\0" * chunk)
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        break
        finally:
            os.close(fd)
        return taken

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def free_bytes(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def unmount(self):
        _run("umount", "--lazy", str(self.path))
