"""Debian systems in folders: created by debootstrap, entered like a chroot, or booted.

They have a loopback interface and no other network. Needs root and namespaces.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "node1.example.com"
#: Packages that the project needs to build and run, and those that its checks use.
PACKAGES = (
    "python3",
    "python3-pytest",
    "openssl",
    "make",
    "procps",
    "netbase",
    "logrotate",
    "systemd",
    "systemd-sysv",
)
BOOT_PATIENCE = 60.0
#: Everything ends with the thread that started it, however that ends.
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")


def missing() -> str:
    """Return why there can be no such systems here; '' if there can."""
    if os.geteuid() != 0:
        return "it needs root"
    for command, what in (
        (["unshare", *_NAMESPACES, "--cgroup", "true"], "namespaces"),
        (["apt-get", "--version"], "apt"),
    ):
        if subprocess.run(command, capture_output=True).returncode != 0:
            return f"it needs {what}"
    return "" if mirror() else "apt knows no repository"


def mirror() -> str:
    """Return where apt gets the distribution from on this machine."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        text=True,
        capture_output=True,
        check=False,
    )
    return next((line for line in done.stdout.split() if "security" not in line), "")


def get_debootstrap() -> None:
    """Install debootstrap."""
    if not shutil.which("debootstrap"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", "debootstrap"]):
            subprocess.run(
                ["apt-get", "-qq", *words],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def debootstrap(suite: str, cache: Path) -> Path:
    """Return the folder of a fresh system, to be copied only; reuse one that has our packages."""
    root, stamp = cache / suite, cache / f"{suite}.packages"
    if stamp.is_file() and stamp.read_text().split() == list(PACKAGES):
        return root
    shutil.rmtree(root, ignore_errors=True)
    with open(cache / f"{suite}.log", "wb") as log:
        subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                suite,
                str(root),
                mirror(),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    stamp.write_text(" ".join(PACKAGES))
    return root


class System:
    """A copy of a fresh system, with a umask for everything that happens in it."""

    def __init__(self, fresh: Path, root: Path, umask: int) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", str(fresh), str(root)], check=True)
        self.root, self.umask = root, umask
        (root / "etc/hostname").write_text(f"{HOST}\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {HOST}\n")
        self._holder: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str], user: str = "root") -> str:
        """Run a command without booting; return its output or raise ``CalledProcessError``."""
        return self._call(
            [
                "unshare",
                *_NAMESPACES,
                sys.executable,
                str(HERE / "enter.py"),
                f"--umask={self.umask:o}",
                f"--user={user}",
                str(self.root),
                *command,
            ]
        )

    def boot(self) -> None:
        """Start its systemd, and wait until that has started everything."""
        name = f"ganeti-{os.getpid()}-{self.root.name}"
        group = _cgroups() / name
        group.mkdir()

        def join() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        self._holder = subprocess.Popen(
            [
                *_WITH_US,
                "unshare",
                *_NAMESPACES,
                "--cgroup",
                sys.executable,
                str(HERE / "enter.py"),
                "--boot",
                str(self.root),
            ],
            preexec_fn=join,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + BOOT_PATIENCE
        while not self._has_booted():
            if time.monotonic() > deadline:
                raise TimeoutError("the system does not boot")
            time.sleep(0.2)

    def inside(self, command: Sequence[str]) -> str:
        """Run a command in the booted system; return its output."""
        return self._call(
            [
                "nsenter",
                f"--target={self._init()}",
                "--mount",
                "--net",
                "--pid",
                "--uts",
                "--ipc",
                "--cgroup",
                "--root",
                "--wd",
                "sh",
                "-c",
                f'umask {self.umask:o} && exec "$@"',
                "sh",
                *command,
            ]
        )

    def halt(self) -> None:
        """End the booted system unconditionally."""
        if self._holder is not None:
            self._holder.kill()  # unshare's child, the only one, is killed with it.
            self._holder.wait()
            self._holder = None
            group = _cgroups() / f"ganeti-{os.getpid()}-{self.root.name}"
            folders = [folder for folder, _, _ in os.walk(group, topdown=False)]
            deadline = time.monotonic() + BOOT_PATIENCE
            while folders and time.monotonic() < deadline:
                try:
                    os.rmdir(folders[0])  # Busy until the last process is gone.
                except FileNotFoundError:
                    folders.pop(0)
                except OSError:
                    time.sleep(0.1)
                else:
                    folders.pop(0)

    def _init(self) -> int:
        """Return the pid of the booted system's first process."""
        assert self._holder is not None
        pid = self._holder.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _has_booted(self) -> bool:
        try:
            said = self.inside(["systemctl", "is-system-running"])
        except subprocess.CalledProcessError as err:
            said = err.stdout
        except IndexError:  # unshare has no child yet.
            return False
        return said.split()[-1:] in (["running"], ["degraded"])

    @staticmethod
    def _call(command: Sequence[str]) -> str:
        # A separate session: what a check does to its process group stays there.
        done = subprocess.run(
            [*_WITH_US, *command],
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
        return done.stdout


def _cgroups() -> Path:
    """Return the root of the unified hierarchy; beside version 1 it has its own folder."""
    top = Path("/sys/fs/cgroup")
    return top / "unified" if (top / "unified").is_dir() else top
