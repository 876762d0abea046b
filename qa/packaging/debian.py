"""The release in fresh Debian systems, used as a packager and an administrator would.

Usage: debian.py TARBALL [--full]. For Debian 12 and 13 at once: configure, make and make check as
an unprivileged user without network or home; the installed tree as a user; the installation by
root; and the units in a booted system. One of the two uses the umask of hardened machines
throughout. The short form runs the whole suite in one system, and in the other the tests that
depend on Python, OpenSSL or the C library. The last line is `N passed, M failed'; 77 and the reason
where there can be no such systems.

GANETI_MACHINES names a folder that keeps the fresh systems for the next run.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import system

HERE = Path(__file__).resolve().parent
#: Paths inside a system.
SOURCE, CHECKS, STAGE = "/opt/source", "/opt/checks", "/opt/stage"
CONFIGURE = ("--prefix=/usr", "--sysconfdir=/etc", "--localstatedir=/var")
#: Tests that a distribution can affect, by names of modules and tests.
SUBSET = (
    "tls or openssl or channel or hello or daemon or process or wire or bootstrap or "
    "makefile or password or database"
)
#: The umask of each system, and the tests of the short form; '' is all of them.
SYSTEMS = {"bookworm": (0o022, SUBSET), "trixie": (0o077, "")}
QUOTED = 60  # Lines shown of a failed step's output.


Run = Callable[[Sequence[str]], str]


@dataclass
class StepReport:
    """The results of the steps in one system; lines are printed at once."""

    suite: str
    passed: int = 0
    failed: int = 0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run a step that counts as one; if it fails, show its output and end the rest."""
        begin = time.monotonic()
        try:
            yield
        except (subprocess.SubprocessError, OSError) as err:
            self.failed += 1
            output = (getattr(err, "stdout", None) or "").splitlines()[-QUOTED:]
            words = (
                f"exit code {err.returncode}"
                if isinstance(err, subprocess.CalledProcessError)
                else str(err)
            )
            print("\n".join([*output, f"FAILED: {self.suite}: {title}: {words}"]), flush=True)
            raise
        self.passed += 1
        self._tell(title, begin)

    def count(self, title: str, run: Run, command: Sequence[str]) -> None:
        """Run a program of checks, whose last line counts them; show its output if one failed."""
        begin = time.monotonic()
        try:
            output = run(command)
        except subprocess.CalledProcessError as err:
            output = err.stdout
        found = re.search(r"^(\d+) passed, (\d+) failed$", output, re.M)
        passed, failed = map(int, found.groups()) if found else (0, 1)
        self.passed, self.failed = self.passed + passed, self.failed + failed
        if failed:
            print(f"{output}FAILED: {self.suite}: {title}", flush=True)
        self._tell(f"{title}: {passed} passed, {failed} failed", begin)

    def _tell(self, what: str, begin: float) -> None:
        print(f"   {self.suite}: {what} ({time.monotonic() - begin:.0f} s)", flush=True)


def prepare(machine: system.System, tarball: Path) -> None:
    """Put the release and the checks into a system, and make the daemons' users."""
    for folder in (SOURCE, STAGE):
        (machine.root / folder[1:]).mkdir()
    subprocess.run(
        [
            "tar",
            "--strip-components=1",
            "--no-same-owner",
            "-xzf",
            str(tarball),
            "-C",
            str(machine.root / SOURCE[1:]),
        ],
        check=True,
    )
    shutil.copytree(HERE, machine.root / CHECKS[1:], ignore=shutil.ignore_patterns("__pycache__"))
    script = [
        "chown -R nobody $0 $1",
        "chmod -R go=u,go-w $2",
        "groupadd --system gnt-daemons",
        "useradd --system --user-group --groups gnt-daemons gnt-masterd",
        "useradd --system --user-group --groups gnt-daemons gnt-rapi",
    ]
    machine.run(["sh", "-e", "-c", "\n".join(script), SOURCE, STAGE, CHECKS])


def as_nobody(machine: system.System) -> Run:
    """Run commands in the folder of the release as an unprivileged user."""

    def run(command: Sequence[str]) -> str:
        return machine.run(["sh", "-c", f'cd {SOURCE} && exec "$@"', "sh", *command], "nobody")

    return run


def set_up(machine: system.System) -> None:
    """Install everything as root, as INSTALL says, and enable it."""
    examples = "/usr/share/doc/ganeti-rapi/examples"
    script = [
        f"make -s -C {SOURCE} install",
        f"install -m 644 {examples}/*.service /etc/systemd/system/",
        f"install -m 644 {examples}/ganeti-rapi.default /etc/default/ganeti-rapi",
        f"install {examples}/ganeti-rapi.initd /etc/init.d/ganeti-rapi",
        "systemctl enable ganeti-masterd ganeti-rapi",
    ]
    machine.run(["sh", "-e", "-c", "\n".join(script)])


def life(report: StepReport, machine: system.System) -> None:
    """Run the steps after the build."""
    plain = as_nobody(machine)
    with report.step("the installed daemons answer /2/info over TLS"):
        plain(["make", "-s", "install", f"DESTDIR={STAGE}"])
        plain(["python3", f"{CHECKS}/installed.py", STAGE])
    report.count(
        "installed for real, by root",
        machine.run,
        ["env", "GANETI_PREFIX=/usr", "python3", f"{CHECKS}/privileged.py", SOURCE],
    )
    with report.step("set up as INSTALL says, booted"):
        set_up(machine)
        machine.boot()
    report.count(
        "units, hand-over, init script",
        machine.inside,
        ["env", "GANETI_PREFIX=/usr", "python3", f"{CHECKS}/booted.py"],
    )


def suite(report: StepReport, machine: system.System, tests: str) -> None:
    """Run the project's own tests."""
    with (
        contextlib.suppress(subprocess.SubprocessError, OSError),
        report.step(f"make check ({'a part' if tests else 'all'})"),
    ):
        as_nobody(machine)(
            ["make", "-s", "check", f"PYTESTFLAGS={tests and f'-k {shlex.quote(tests)}'}"]
        )


def try_out(
    reports: list[StepReport], tarball: Path, umask: int, tests: str, scratch: Path
) -> None:
    """Create a system; build, install and test the release there."""
    report, machine = reports[0], None
    cache = Path(os.environ.get("GANETI_MACHINES") or scratch)
    try:
        with report.step(f"the system, with umask {umask:03o}"):
            fresh = system.debootstrap(report.suite, cache)
            machine = system.System(fresh, scratch / f"{report.suite}-copy", umask)
        with report.step("configure, make"):
            prepare(machine, tarball)
            as_nobody(machine)(["./configure", "--quiet", *CONFIGURE])
            as_nobody(machine)(["make", "-s", "-j2"])
        tester = threading.Thread(target=suite, args=(reports[1], machine, tests))
        tester.start()  # It computes while the checks mostly wait.
        try:
            life(report, machine)
        finally:
            machine.halt()
            tester.join()
    except (subprocess.SubprocessError, OSError):
        pass  # Counted and printed by the step.


def main() -> int:
    """Try the release in every system at once."""
    full = "--full" in sys.argv
    reason = system.missing()
    if reason:
        print(f"Debian 12 and 13: {reason}")
        return 77
    system.get_debootstrap()
    tarball = Path(sys.argv[1]).resolve()
    reports, threads = [], []
    with tempfile.TemporaryDirectory(prefix="ganeti-debian-") as scratch:
        os.chmod(scratch, 0o755)
        for name, (umask, tests) in SYSTEMS.items():
            pair = [StepReport(name), StepReport(name)]
            reports += pair
            threads.append(
                threading.Thread(
                    target=try_out,
                    args=(pair, tarball, umask, "" if full else tests, Path(scratch)),
                )
            )
            threads[-1].start()
        for thread in threads:
            thread.join()
    passed, failed = sum(r.passed for r in reports), sum(r.failed for r in reports)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
