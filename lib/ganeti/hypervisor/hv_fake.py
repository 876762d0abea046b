"""Guests that are files: a cluster's whole life without a virtual machine.

A file named after the guest stands for a guest that runs. It holds three
lines: an identifier (always 0), the memory in MiB, the number of CPUs; this is
the format of Ganeti's driver of the same name, so both can be looked at with
the same tools. Whoever removes the file has killed the guest. Files are put in
place by rename; to change one by hand, do the same.
"""

from __future__ import annotations

import contextlib
import os
import stat

from ganeti import constants, errors, ht, pathutils
from ganeti.hypervisor.hv_base import Guest, Hypervisor, StartParameters
from ganeti.utils import io
from ganeti.utils.dir_cache import WatchedDirectory
from ganeti.utils.text import describe_os_error


class FakeHypervisor(Hypervisor):
    """The state files below ``directory``."""

    NAME = constants.HT_FAKE

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self._all: WatchedDirectory[dict[str, Guest]] = WatchedDirectory(directory, self._read)
        #: Name -> inode and time of its file, and the guest that it held: a start does
        #: not read the files of all the others again.
        self._seen: dict[str, tuple[int, int, Guest]] = {}

    def guests(self) -> dict[str, Guest]:
        """All guests by name."""
        try:
            return dict(self._all.value())
        except OSError as err:
            raise errors.HypervisorError(f"Cannot read {self.directory}: {err.strerror}") from None

    def guest(self, name: str) -> Guest | None:
        """One guest, or None."""
        try:
            with open(
                pathutils.inside(self.directory, name), encoding="ascii", errors="replace"
            ) as file:
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
        """Put the guest's file in place."""
        name = start.instance.name
        if self.guest(name) is not None:
            raise errors.HypervisorError(f"Cannot start {name}: it is running already")
        self._write(Guest(name, start.memory, start.beparams["vcpus"]))

    def stop(self, name: str, *, timeout: int, force: bool) -> None:
        """Remove the guest's file; a fake guest never resists."""
        try:
            io.remove_file(pathutils.inside(self.directory, name))
        except OSError as err:
            raise errors.HypervisorError(f"Cannot stop {name}: {describe_os_error(err)}") from None

    def reboot(self, name: str) -> None:
        """Write the guest's file anew, so that its time says when it booted."""
        guest = self.guest(name)
        if guest is None:
            raise errors.HypervisorError(f"Cannot reboot {name}: it is not running")
        self._write(guest)

    def problems(self) -> list[str]:
        """Is there a place for the files?"""
        if os.path.isdir(self.directory) and not os.access(self.directory, os.W_OK):
            return [f"The directory {self.directory} cannot be written to"]
        return []

    def _write(self, guest: Guest) -> None:
        try:
            io.make_directory(self.directory, 0o750)
            io.write_file(
                pathutils.inside(self.directory, guest.name),
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
                # Files that are being put in place begin with a dot, which no name does.
                if old is None and not ht.is_host_name(name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # died just now
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
