"""Every file and socket path, under one root: the only place that joins paths.

The layout below LOCALSTATEDIR is Ganeti's own, so that its tools, init scripts
and log rotation find things. With GANETI_ROOTDIR set, everything moves below
it, laid out as a package has it (/var, /etc) whatever this copy was configured
with: that is how Ganeti's command-line tools look below a root, and what the
tests and ``devel/run`` use.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Any

try:
    _CONFIGURED: dict[str, Any] = vars(importlib.import_module("_ganeti_build"))
except ModuleNotFoundError:
    _CONFIGURED = {}


def configured(name: str, default: Any) -> Any:
    """What configure decided, or the default in a bare checkout."""
    return _CONFIGURED.get(name, default)


#: Where OS definitions are looked for, in this order (Ganeti 3.0 of Debian).
OS_SEARCH_PATH: tuple[str, ...] = tuple(
    configured(
        "OS_SEARCH_PATH",
        (
            "/srv/ganeti/os",
            "/usr/local/lib/ganeti/os",
            "/usr/lib/ganeti/os",
            "/usr/share/ganeti/os",
        ),
    )
)

RAPI_USER: str = configured("RAPI_USER", "gnt-rapi")
MASTERD_USER: str = configured("MASTERD_USER", "gnt-masterd")
DAEMONS_GROUP: str = configured("DAEMONS_GROUP", "gnt-daemons")

#: Bytes that fit into a socket's address (sun_path less its NUL).
SOCKET_PATH_MAX = 107


@dataclass(frozen=True)
class Paths:
    """All paths of one cluster's member; ``root`` is empty on an installed system."""

    root: str = ""
    localstatedir: str = "/var"
    sysconfdir: str = "/etc"
    os_search_path: tuple[str, ...] = OS_SEARCH_PATH

    @classmethod
    def from_environment(cls, environ: dict[str, str] | None = None) -> Paths:
        """Paths below GANETI_ROOTDIR, or those that configure chose."""
        root = (os.environ if environ is None else environ).get("GANETI_ROOTDIR", "")
        if root:
            root = os.path.abspath(root)
            return cls(root, os_search_path=tuple(root + path for path in OS_SEARCH_PATH))
        return cls("", configured("LOCALSTATEDIR", "/var"), configured("SYSCONFDIR", "/etc"))

    def user(self, configured_user: str) -> str:
        """Whom a daemon becomes when root starts it; empty: it stays who it is.

        Below a root of its own everything belongs to whoever made that, and
        often lies where no other user gets to.
        """
        return "" if self.root else configured_user

    # -- directories ---------------------------------------------------------

    @property
    def run_dir(self) -> str:
        """Things that do not survive a reboot."""
        return f"{self.root}{self.localstatedir}/run/ganeti"

    @property
    def lib_dir(self) -> str:
        """The cluster's own data."""
        return f"{self.root}{self.localstatedir}/lib/ganeti"

    @property
    def log_dir(self) -> str:
        """Logs of the daemons."""
        return f"{self.root}{self.localstatedir}/log/ganeti"

    @property
    def os_log_dir(self) -> str:
        """Logs of OS scripts, one an instance and run."""
        return f"{self.log_dir}/os"

    @property
    def socket_dir(self) -> str:
        """Closed to everybody but the daemons' group."""
        return f"{self.run_dir}/socket"

    @property
    def conf_dir(self) -> str:
        """What the administrator writes."""
        return f"{self.root}{self.sysconfdir}/ganeti"

    @property
    def rapi_dir(self) -> str:
        """Holds the users file."""
        return f"{self.lib_dir}/rapi"

    @property
    def fake_hypervisor_dir(self) -> str:
        """One state file for each running fake guest."""
        return f"{self.run_dir}/fake-hypervisor"

    @property
    def file_storage_dir(self) -> str:
        """Default for disks of the template file."""
        return f"{self.root}/srv/ganeti/file-storage"

    @property
    def shared_file_storage_dir(self) -> str:
        """Default for disks of the template sharedfile."""
        return f"{self.root}/srv/ganeti/shared-file-storage"

    @property
    def gluster_storage_dir(self) -> str:
        """Where a gluster volume would be mounted; shown by /2/info."""
        return f"{self.run_dir}/gluster"

    @property
    def simulated_nodes_dir(self) -> str:
        """What simulated nodes of a fake cluster remember."""
        return f"{self.run_dir}/simulated-nodes"

    @property
    def disks_dir(self) -> str:
        """Entries of the disks of simulated nodes, a folder for each node."""
        return f"{self.lib_dir}/disks"

    @property
    def ganeti_queue_dir(self) -> str:
        """Where a real Ganeti keeps its jobs; ours are in ``master_db``."""
        return f"{self.lib_dir}/queue"

    # -- files ---------------------------------------------------------------

    @property
    def master_db(self) -> str:
        """Configuration and job queue."""
        return f"{self.lib_dir}/master.db"

    @property
    def master_lock(self) -> str:
        """Held by whoever has the database open for writing."""
        return f"{self.lib_dir}/master.lock"

    @property
    def next_db(self) -> str:
        """A whole database that takes the place of ``master_db`` with the next start."""
        return f"{self.lib_dir}/master.db.next"

    @property
    def unfinished_db(self) -> str:
        """A database that is being made; of no use if that broke off."""
        return f"{self.lib_dir}/master.db.new"

    @property
    def work_db(self) -> str:
        """A copy of a damaged database, to be put right; of no use if that broke off."""
        return f"{self.lib_dir}/master.db.work"

    @property
    def damage_mark(self) -> str:
        """Where this file is, a running master found damage; the next start looks closely."""
        return f"{self.lib_dir}/master.db.suspect"

    def kept_db(self, why: str, stamp: str) -> str:
        """A database that was replaced: ``why`` is a word such as damaged."""
        return f"{self.lib_dir}/master.db.{why}-{stamp}"

    @property
    def backup_key(self) -> str:
        """Seals the secrets in backups of this machine."""
        return f"{self.lib_dir}/backup.key"

    @property
    def rapi_cert(self) -> str:
        """Certificate and key of the API."""
        return f"{self.lib_dir}/rapi.pem"

    def kept_certificate(self, stamp: str) -> str:
        """A certificate, with its key, that was replaced."""
        return f"{self.rapi_cert}.before-{stamp}"

    @property
    def users_files(self) -> tuple[str, str]:
        """Where API users stand: today's place, then that of Ganeti 2.0."""
        return f"{self.rapi_dir}/users", f"{self.lib_dir}/rapi_users"

    @property
    def file_storage_paths_file(self) -> str:
        """Directories that file storage may use, one a line."""
        return f"{self.conf_dir}/file-storage-paths"

    @property
    def query_socket(self) -> str:
        """Where the master listens (Ganeti 3.x: luxid's socket)."""
        return f"{self.socket_dir}/ganeti-query"

    @property
    def rapi_log(self) -> str:
        """Log of ganeti-rapi."""
        return f"{self.log_dir}/rapi-daemon.log"

    @property
    def master_log(self) -> str:
        """Log of ganeti-masterd."""
        return f"{self.log_dir}/master-daemon.log"

    def pid_file(self, daemon: str) -> str:
        """Pid file of a daemon, locked as long as it runs."""
        return f"{self.run_dir}/{daemon}.pid"

    def ssconf(self, key: str) -> str:
        """A fact of the cluster as a small file that scripts read."""
        return f"{self.lib_dir}/ssconf_{key}"

    def os_log(self, action: str, os_name: str, instance: str, stamp: str) -> str:
        """Log of one run of an OS script."""
        return f"{self.os_log_dir}/{action}-{os_name}-{instance}-{stamp}.log"

    def fake_guest(self, instance: str) -> str:
        """State file that stands for a running guest."""
        return f"{self.fake_hypervisor_dir}/{instance}"

    def simulated_node(self, node: str) -> str:
        """State directory of a simulated node."""
        return f"{self.simulated_nodes_dir}/{node}"

    def simulated_guests(self, node: str) -> str:
        """Folder of the state files of a simulated node's guests."""
        return f"{self.simulated_node(node)}/guests"

    def simulated_failure(self, node: str) -> str:
        """As long as this file is there, a simulated node does not answer."""
        return f"{self.simulated_node(node)}/failed"

    def counted_disks(self, node: str) -> str:
        """Folder with an entry for each disk of a node whose space is a given figure."""
        return f"{self.disks_dir}/{node}"

    def os_definition(self, base: str, name: str) -> str:
        """Folder of an OS definition below a search directory."""
        return f"{base}/{name}"


def inside(directory: str, name: str) -> str:
    """The path of an entry ``name`` of a directory; ``name`` must be one component."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f"{name!r} is no file name")
    return os.path.join(directory, name)


def beside(path: str, word: str) -> str:
    """A hidden name in the directory of a file, for what is to become that file."""
    directory, name = os.path.split(os.path.abspath(path))
    return inside(directory, f".{name}.{word}")


def is_below(path: str, directory: str) -> bool:
    """Does a normalised absolute path lie below a directory?"""
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return (
        os.path.isabs(path)
        and os.path.commonpath([path, directory]) == directory
        and path != directory
    )
