"""Guests that are files, for clusters without virtual machines.

A file with the name of a guest means that the guest runs. It has three lines: an
identifier (always 0), the memory in MiB and the number of CPUs. This is the format of
Ganeti's driver of the same name, so the same tools can read both. Removing the file
kills the guest. Files are put in place by a rename; to change one by hand, do the same,
or the change may go unnoticed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping

from ganeti import constants, errors, ht
from ganeti.hypervisor.hv_base import Guest, Hypervisor, StartParameters
from ganeti.utils import io
from ganeti.utils.dir_cache import WatchedDirectory
from ganeti.utils.text import describe_os_error


class FakeHypervisor(Hypervisor):
    """Driver of fake guests, with a state file for each of them in ``directory``."""

    NAME = constants.HT_FAKE

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self._all: WatchedDirectory[dict[str, Guest]] = WatchedDirectory(directory, self._read)
        #: Name -> inode and time of the file, and the guest that it held. Starting one
        #: guest then does not read the files of all the others again.
        self._seen: dict[str, tuple[int, int, Guest]] = {}

    def guests(self) -> Mapping[str, Guest]:
        """Return all guests by name; callers must not change the result."""
        try:
            return self._all.value()
        except OSError as err:
            raise errors.HypervisorError(f"Cannot read {self.directory}: {err.strerror}") from None

    def guest(self, name: str) -> Guest | None:
        """Return one guest, or None if it does not run."""
        try:
            with open(self._path(name), encoding="ascii", errors="replace") as file:
                words = file.read(200).split()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise errors.HypervisorError(
                f"Cannot read the state of {name}: {err.strerror}"
            ) from None
        memory, vcpus = (int(word) if word.isdecimal() else 0 for word in (words + ["0"] * 3)[1:3])
        return Guest(name, memory, vcpus or 1)

    def start(self, start: StartParameters) -> None:
        """Put the guest's file in place; raise ``HypervisorError`` if it is there already."""
        name = start.instance.name
        if self.guest(name) is not None:
            raise errors.HypervisorError(f"Cannot start {name}: it is running already")
        self._write(Guest(name, start.memory, start.beparams["vcpus"]))

    def stop(self, name: str, *, timeout: int, force: bool) -> None:
        """Remove the guest's file; a fake guest stops at once."""
        try:
            io.remove_file(self._path(name))
        except OSError as err:
            raise errors.HypervisorError(f"Cannot stop {name}: {describe_os_error(err)}") from None

    def reboot(self, name: str) -> None:
        """Write the guest's file again, so that its time tells when the guest booted."""
        guest = self.guest(name)
        if guest is None:
            raise errors.HypervisorError(f"Cannot reboot {name}: it is not running")
        self._write(guest)

    def problems(self) -> list[str]:
        """Return a complaint if the directory for the files is not writable."""
        if os.path.isdir(self.directory) and not os.access(self.directory, os.W_OK):
            return [f"The directory {self.directory} cannot be written to"]
        return []

    def _path(self, name: str) -> str:
        # Host names contain no slash and do not begin with a dot, so the path cannot lead out.
        if not ht.is_host_name(name):
            raise errors.HypervisorError(f"Invalid name of a guest: {ht.shorten(name)}")
        return f"{self.directory}/{name}"

    def _write(self, guest: Guest) -> None:
        try:
            io.make_directory(self.directory, 0o750)
            io.write_file(
                self._path(guest.name),
                f"0\n{guest.memory}\n{guest.vcpus}\n",
                durable=False,
            )
        except OSError as err:
            raise errors.HypervisorError(
                f"Cannot write the state of {guest.name}: {describe_os_error(err)}"
            ) from None

    def _read(self, names: list[str]) -> dict[str, Guest]:
        if not names:
            return {}
        seen: dict[str, tuple[int, int, Guest]] = {}
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names:
                old = self._seen.get(name)
                # A file that is not yet in place has a name that begins with a dot.
                if old is None and not ht.is_host_name(name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # it has just stopped
                    found = os.stat(name, dir_fd=directory)
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    if old is None or old[:2] != (found.st_ino, found.st_mtime_ns):
                        guest = self.guest(name)
                        old = None if guest is None else (found.st_ino, found.st_mtime_ns, guest)
                    if old is not None:
                        seen[name] = old
        finally:
            os.close(directory)
        self._seen = seen
        return {name: guest for name, (_, _, guest) in seen.items()}
