"""A program that enters a folder as its whole file system, to run a command or systemd there.

Usage: enter.py [--host NAME] [--user NAME] [--umask MODE] ROOT COMMAND... enter.py [--host NAME]
--boot ROOT

To be called by `unshare` as the first process of new namespaces for mounts, processes, network and
host name; --boot also needs those for IPC and cgroups (see system.py). Nothing of this machine can
be reached from there, and all of it ends with this process.
"""

import argparse
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from loopback import raise_loopback

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
    "ptmx": "pts/ptmx",
}


def mount(*words: object) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *map(str, words)], check=True)


def fill(root: Path, boot: bool) -> None:
    """Mount what a system finds when it starts: kernel interfaces, devices, an empty /run."""
    mount("--make-rprivate", "/")
    mount("--bind", root, root)  # pivot_root(8) requires a mount point.
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "sysfs", "sysfs", root / "sys")
    for folder in ("dev", "run"):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / folder)
    for name in DEVICES:
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name, target in LINKS.items():
        (root / "dev" / name).symlink_to(target)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", root / "dev/pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "dev/shm")
    if boot:
        mount("-t", "cgroup2", "cgroup2", root / "sys/fs/cgroup")
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
        return
    # A separate /tmp on disk: some tests' files are too large for memory.
    folder = tempfile.mkdtemp(prefix="tmp-", dir=root / "var/tmp")
    os.chmod(folder, 0o1777)
    mount("--bind", folder, root / "tmp")


def move_in(root: Path) -> None:
    """Make the folder the root of the file system, and forget the old one."""
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    subprocess.run(["umount", "--lazy", "/mnt"], check=True)
    os.chdir("/")


def become(user: str) -> None:
    """Become this user, without other groups."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def run(command: list[str], user: str, umask: int) -> int:
    """Run a command as the child of a process that reaps orphans; return its exit code."""
    child = os.fork()
    if child == 0:
        os.umask(umask)
        if user != "root":
            become(user)
        os.execvpe(command[0], command, {"PATH": PATH, "LC_ALL": "C.UTF-8"})
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def main() -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="node1.example.com")
    parser.add_argument("--user", default="root")
    parser.add_argument("--umask", type=lambda text: int(text, 8), default=0o022)
    parser.add_argument("--boot", action="store_true")
    parser.add_argument("root", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    fill(options.root.resolve(), options.boot)
    raise_loopback()
    socket.sethostname(options.host)
    move_in(options.root.resolve())
    if options.boot:
        os.execve(
            "/lib/systemd/systemd",
            ["systemd", "--unit=multi-user.target"],
            {"PATH": PATH, "container": "other"},
        )
    return run(options.command, options.user, options.umask)


if __name__ == "__main__":
    sys.exit(main())
