"""File systems that can be broken on purpose: image files on loop devices, sparse files on small tmpfs. Needs root."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from store import Failed, until

MOUNT = {"ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"], "xfs": ["mkfs.xfs", "-q"]}
NEEDED = {"ext4": ["mkfs.ext4"], "xfs": ["mkfs.xfs"]}


def sh(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout.strip()


def require(*programs):
    """Says what this machine lacks."""
    if os.geteuid() != 0:
        raise Failed("this needs root: it mounts file systems")
    missing = [program for program in programs if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        raise Failed(f"not installed: {', '.join(missing)}")


# How long a file system may be held on to: by threads of a killed process that wait for a disk, and by mount namespaces that
# somebody else on this machine has made in the meantime.
LET_GO_S = 120


class Image:
    """A file system of its own in an image file, mounted at `at`."""

    def __init__(self, kind, at, mebibytes, backing=None):
        self.kind, self.at = kind, pathlib.Path(at)
        self.file = pathlib.Path(backing or tempfile.gettempdir()) / f"granary-{os.getpid()}-{id(self)}.img"
        with self.file.open("wb") as file:
            file.truncate(mebibytes << 20)
        sh(*MOUNT[kind], self.file)
        self.device = None
        self.mount()

    def mount(self):
        self.at.mkdir(parents=True, exist_ok=True)
        self.device = sh("losetup", "--find", "--show", self.file)
        sh("mount", "-t", self.kind, self.device, self.at)
        shutil.rmtree(self.at / "lost+found", ignore_errors=True)

    def cut(self):
        """Power off: whatever is not on stable storage is gone, and every further access fails."""
        sh("xfs_io", "-x", "-c", "shutdown", self.at)

    def unmount(self):
        """Returns when the file system is gone: mounted once more beside itself it would be two."""
        if self.device is None:
            return
        until(f"{self.at} to be let go of", LET_GO_S, lambda: sh("umount", self.at) == "")
        self.detach()
        until(f"{self.file} to be let go of", LET_GO_S, lambda: sh("losetup", "--associated", self.file) == "")

    def detach(self):
        sh("losetup", "--detach", self.device, check=False)
        self.device = None

    def remove(self):
        if self.device is not None:
            sh("umount", "-l", self.at, check=False)
            self.detach()
        self.file.unlink(missing_ok=True)


class Tmpfs:
    """Memory as a file system of a given size."""

    def __init__(self, at, mebibytes):
        self.at = pathlib.Path(at)
        self.at.mkdir(parents=True, exist_ok=True)
        sh("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "granary-faults", self.at)

    def remove(self):
        if sh("umount", self.at, check=False):
            sh("umount", "-l", self.at, check=False)
