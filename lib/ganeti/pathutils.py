"""Every file and socket path, under one root: the only module that joins paths.

The layout below LOCALSTATEDIR is Ganeti's own, so that its tools, init scripts and log rotation
find things. With GANETI_ROOTDIR set, everything moves below that directory, into /var and /etc
there, whatever this copy was configured with: Ganeti's command-line tools look there, too. The
tests and ``devel/run`` use it.
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
    """Return what configure chose, or the default in a bare checkout."""
    return _CONFIGURED.get(name, default)


#: Directories that are searched for OS definitions, in this order (Ganeti 3.0 of Debian).
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

#: Longest path of a socket in bytes (sun_path without the final NUL).
SOCKET_PATH_MAX = 107


@dataclass(frozen=True)
class Paths:
    """The paths of one member of a cluster; ``root`` is empty on an installed system."""

    root: str = ""
    localstatedir: str = "/var"
    sysconfdir: str = "/etc"
    os_search_path: tuple[str, ...] = OS_SEARCH_PATH

    @classmethod
    def from_environment(cls, environ: dict[str, str] | None = None) -> Paths:
        """Return the paths below GANETI_ROOTDIR if it is set, else those that configure chose."""
        root = (os.environ if environ is None else environ).get("GANETI_ROOTDIR", "")
        if root:
            root = os.path.abspath(root)
            return cls(root, os_search_path=tuple(root + path for path in OS_SEARCH_PATH))
        return cls("", configured("LOCALSTATEDIR", "/var"), configured("SYSCONFDIR", "/etc"))

    def user(self, configured_user: str) -> str:
        """Return the user that a daemon becomes when root starts it; empty: it remains root.

        Below GANETI_ROOTDIR everything belongs to the user who created that directory, which
        others often cannot reach.
        """
        return "" if self.root else configured_user

    # -- directories ---------------------------------------------------------

    @property
    def run_dir(self) -> str:
        """Return the directory of everything that does not survive a reboot."""
        return f"{self.root}{self.localstatedir}/run/ganeti"

    @property
    def lib_dir(self) -> str:
        """Return the directory of the cluster's data."""
        return f"{self.root}{self.localstatedir}/lib/ganeti"

    @property
    def log_dir(self) -> str:
        """Return the directory of the daemons' logs."""
        return f"{self.root}{self.localstatedir}/log/ganeti"

    @property
    def os_log_dir(self) -> str:
        """Return the directory of the logs of OS scripts, one for each run."""
        return f"{self.log_dir}/os"

    @property
    def socket_dir(self) -> str:
        """Return the directory of the sockets, which only the daemons' group may enter."""
        return f"{self.run_dir}/socket"

    @property
    def conf_dir(self) -> str:
        """Return the directory of the files that administrators write."""
        return f"{self.root}{self.sysconfdir}/ganeti"

    @property
    def rapi_dir(self) -> str:
        """Return the directory of the users file."""
        return f"{self.lib_dir}/rapi"

    @property
    def fake_hypervisor_dir(self) -> str:
        """Return the directory with a state file for each running fake guest."""
        return f"{self.run_dir}/fake-hypervisor"

    @property
    def file_storage_dir(self) -> str:
        """Return the default directory for disks of the template file."""
        return f"{self.root}/srv/ganeti/file-storage"

    @property
    def shared_file_storage_dir(self) -> str:
        """Return the default directory for disks of the template sharedfile."""
        return f"{self.root}/srv/ganeti/shared-file-storage"

    @property
    def gluster_storage_dir(self) -> str:
        """Return the mount point of a gluster volume, which /2/info shows."""
        return f"{self.run_dir}/gluster"

    @property
    def simulated_nodes_dir(self) -> str:
        """Return the directory of the state of a fake cluster's simulated nodes."""
        return f"{self.run_dir}/simulated-nodes"

    @property
    def disks_dir(self) -> str:
        """Return the directory of the disks of simulated nodes, with a folder for each node."""
        return f"{self.lib_dir}/disks"

    @property
    def ganeti_queue_dir(self) -> str:
        """Return the directory of a real Ganeti's jobs; ours are in ``master_db``."""
        return f"{self.lib_dir}/queue"

    # -- files ---------------------------------------------------------------

    @property
    def master_db(self) -> str:
        """Return the database of the configuration and the job queue."""
        return f"{self.lib_dir}/master.db"

    @property
    def master_lock(self) -> str:
        """Return the file that a process locks as long as it has the database open for writing."""
        return f"{self.lib_dir}/master.lock"

    @property
    def next_db(self) -> str:
        """Return the complete database that replaces ``master_db`` when the master starts next."""
        return f"{self.lib_dir}/master.db.next"

    @property
    def unfinished_db(self) -> str:
        """Return the database that is being created; it is useless if that was interrupted."""
        return f"{self.lib_dir}/master.db.new"

    @property
    def work_db(self) -> str:
        """Return the copy of a damaged database that is being repaired.

        It is useless if the repair was interrupted.
        """
        return f"{self.lib_dir}/master.db.work"

    @property
    def damage_mark(self) -> str:
        """Return the file that a master leaves when it finds damage.

        The next start then checks the whole database.
        """
        return f"{self.lib_dir}/master.db.suspect"

    def kept_db(self, why: str, stamp: str) -> str:
        """Return the path of a database that was replaced; ``why`` is a word such as damaged."""
        return f"{self.lib_dir}/master.db.{why}-{stamp}"

    @property
    def backup_key(self) -> str:
        """Return the file of the key that encrypts the secrets in backups of this machine."""
        return f"{self.lib_dir}/backup.key"

    @property
    def rapi_cert(self) -> str:
        """Return the certificate of the API, with its key."""
        return f"{self.lib_dir}/rapi.pem"

    def kept_certificate(self, stamp: str) -> str:
        """Return the path of a certificate that was replaced, with its key."""
        return f"{self.rapi_cert}.before-{stamp}"

    @property
    def users_files(self) -> tuple[str, str]:
        """Return the files of the API's users: today's, then Ganeti 2.0's."""
        return f"{self.rapi_dir}/users", f"{self.lib_dir}/rapi_users"

    @property
    def file_storage_paths_file(self) -> str:
        """Return the file that lists the directories that file storage may use, one in a line."""
        return f"{self.conf_dir}/file-storage-paths"

    @property
    def query_socket(self) -> str:
        """Return the socket on which the master listens (luxid's in Ganeti 3.x)."""
        return f"{self.socket_dir}/ganeti-query"

    @property
    def rapi_log(self) -> str:
        """Return the log of ganeti-rapi."""
        return f"{self.log_dir}/rapi-daemon.log"

    @property
    def master_log(self) -> str:
        """Return the log of ganeti-masterd."""
        return f"{self.log_dir}/master-daemon.log"

    def pid_file(self, daemon: str) -> str:
        """Return the pid file of a daemon, which locks it as long as it runs."""
        return f"{self.run_dir}/{daemon}.pid"

    def ssconf(self, key: str) -> str:
        """Return the file with one fact of the cluster, for scripts."""
        return f"{self.lib_dir}/ssconf_{key}"

    def os_log(self, action: str, os_name: str, instance: str, stamp: str) -> str:
        """Return the log of one run of an OS script."""
        return f"{self.os_log_dir}/{action}-{os_name}-{instance}-{stamp}.log"

    def fake_guest(self, instance: str) -> str:
        """Return the state file of a fake guest, which exists as long as the guest runs."""
        return f"{self.fake_hypervisor_dir}/{instance}"

    def simulated_node(self, node: str) -> str:
        """Return the state directory of a simulated node."""
        return f"{self.simulated_nodes_dir}/{node}"

    def simulated_guests(self, node: str) -> str:
        """Return the directory of the state files of a simulated node's guests."""
        return f"{self.simulated_node(node)}/guests"

    def simulated_failure(self, node: str) -> str:
        """Return the file that stops a simulated node from answering as long as it exists."""
        return f"{self.simulated_node(node)}/failed"

    def counted_disks(self, node: str) -> str:
        """Return the directory with an entry for each disk of a node with configured capacity."""
        return f"{self.disks_dir}/{node}"

    def os_definition(self, base: str, name: str) -> str:
        """Return the directory of an OS definition below a search directory."""
        return f"{base}/{name}"


def inside(directory: str, name: str) -> str:
    """Return the path of an entry of a directory; ``ValueError`` unless ``name`` is a file name."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f"{name!r} is not a file name")
    return os.path.join(directory, name)


def beside(path: str, word: str) -> str:
    """Return a hidden file in the directory of a file, for a version that will replace it."""
    directory, name = os.path.split(os.path.abspath(path))
    return inside(directory, f".{name}.{word}")
