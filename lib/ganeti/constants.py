"""Statuses, kinds and limits that the API names; no paths, no behaviour.

Sources: the page about RAPI 2.0, and Ganeti 2.0.6 and 3.x (``Constants.hs``, and measurements).
"""

from enum import IntEnum, StrEnum

# -- what we are -------------------------------------------------------------

#: Version of this software; a test compares it with configure.ac's.
RELEASE_VERSION = "0.1.0"

RAPI_VERSION = 2
#: Versions shown by /2/info: those of Ganeti 3.0, whose LUXI we speak.
CONFIG_VERSION = 3000000
PROTOCOL_VERSION = 3000000
OS_API_VERSION = 20
#: OS definitions of these versions can be run. (Ganeti also runs 15.)
OS_API_VERSIONS = frozenset({10, 15, 20})
EXPORT_VERSION = 0

RAPI_SERVICE = "ganeti-rapi"
DEFAULT_RAPI_PORT = 5080
HTTP_BASIC_REALM = "Ganeti Remote API"

# -- exit codes (Ganeti's tools know 11) --------------------------------------

EXIT_SUCCESS = 0
EXIT_FAILURE = 1
EXIT_NOTMASTER = 11
EXIT_NODESETUP_ERROR = 12


# -- jobs ---------------------------------------------------------------------


class JobStatus(StrEnum):
    """Status of a job or of one of its opcodes, as LUXI and the API name it."""

    QUEUED = "queued"  # accepted and stored; nothing was started
    WAITING = "waiting"  # waits for locks
    CANCELING = "canceling"  # was told to stop, and has not stopped yet
    RUNNING = "running"
    CANCELED = "canceled"  # stopped on request
    SUCCESS = "success"
    ERROR = "error"


JOB_FINAL = frozenset({JobStatus.CANCELED, JobStatus.SUCCESS, JobStatus.ERROR})

PRIORITY_LOWEST = 19
PRIORITY_HIGHEST = -20
PRIORITY_DEFAULT = 0
#: Priorities that a submission may set; the queue uses the whole range.
PRIORITIES_SUBMIT = frozenset({-10, 0, 10})

MAX_RUNNING_JOBS = 20
#: Most live jobs in the queue; further submissions get JobQueueFull.
MAX_LIVE_JOBS = 50_000

LOG_MESSAGE = "message"

#: Longest wait of a WaitForJobChange in seconds, which is luxid's limit.
LUXI_WAIT_CAP = 89.0
#: Seconds after which an idle LUXI connection is closed.
LUXI_IDLE_TIMEOUT = 180.0


# -- queries --------------------------------------------------------------------


class ResultStatus(IntEnum):
    """First half of a query's cell; the second half is null unless this is NORMAL."""

    NORMAL = 0
    UNKNOWN = 1  # no such field
    NODATA = 2  # the node did not answer
    UNAVAIL = 3  # this object has no such value
    OFFLINE = 4  # its node is offline


class FieldKind(StrEnum):
    """Type of a query field, as QueryFields reports it."""

    UNKNOWN = "unknown"
    TEXT = "text"
    BOOL = "bool"
    NUMBER = "number"
    FLOAT = "float"
    UNIT = "unit"  # MiB
    TIMESTAMP = "timestamp"
    OTHER = "other"


# -- instances --------------------------------------------------------------------


class AdminState(StrEnum):
    """State that the administrator wants an instance to have."""

    UP = "up"
    DOWN = "down"
    OFFLINE = "offline"


class InstanceStatus(StrEnum):
    """Wanted and actual state of an instance in one word."""

    RUNNING = "running"
    ADMIN_DOWN = "ADMIN_down"
    ADMIN_OFFLINE = "ADMIN_offline"
    USER_DOWN = "USER_down"
    ERROR_UP = "ERROR_up"
    ERROR_DOWN = "ERROR_down"
    ERROR_NODEDOWN = "ERROR_nodedown"
    ERROR_NODEOFFLINE = "ERROR_nodeoffline"
    ERROR_WRONGNODE = "ERROR_wrongnode"


class DiskTemplate(StrEnum):
    """Kind of storage of an instance's disks."""

    DISKLESS = "diskless"
    FILE = "file"
    SHARED_FILE = "sharedfile"
    PLAIN = "plain"
    DRBD = "drbd"
    BLOCKDEV = "blockdev"
    RBD = "rbd"
    EXT = "ext"
    GLUSTER = "gluster"


DISK_TEMPLATES = frozenset(DiskTemplate)

HYPERVISORS = frozenset({"fake", "kvm", "xen-pvm", "xen-hvm", "chroot", "lxc"})
HT_FAKE = "fake"
HT_KVM = "kvm"

FILE_DRIVERS = frozenset({"loop", "blktap", "blktap2"})
NIC_MODES = frozenset({"bridged", "routed", "openvswitch", "pool"})
DISK_ACCESS = frozenset({"ro", "rw"})
NIC_KEYS = frozenset({"bridge", "ip", "link", "mac", "mode", "name", "network", "vlan"})
#: Values of a MAC address that request a new one.
VALUE_AUTO = "auto"
VALUE_GENERATE = "generate"
VALUE_NONE = "none"
VALUE_DEFAULT = "default"

MAX_DISKS = 16
MAX_NICS = 8
#: MiB of DRBD's metadata for each disk, on each of its two nodes.
DRBD_META_SIZE = 128

# -- nodes and groups -----------------------------------------------------------------

NODE_ROLE_MASTER = "M"
NODE_ROLE_CANDIDATE = "C"
NODE_ROLE_REGULAR = "R"
NODE_ROLE_DRAINED = "D"
NODE_ROLE_OFFLINE = "O"

ALLOC_POLICIES = ("preferred", "last_resort", "unallocable")
DEFAULT_GROUP = "default"

#: Network ports that Ganeti reserves for instances' consoles.
FIRST_NETWORK_PORT = 11000
LAST_NETWORK_PORT = 14999

# -- tags -------------------------------------------------------------------------------

TAG_CLUSTER = "cluster"
TAG_NODE = "node"
TAG_INSTANCE = "instance"
TAG_NODEGROUP = "nodegroup"
TAG_NETWORK = "network"
MAX_TAG_LENGTH = 128
MAX_TAGS_PER_OBJECT = 4096

# -- OpPrereqError's second argument ----------------------------------------------------


class ErrorCode(StrEnum):
    """Reason why an opcode's prerequisites are not met (``OpPrereqError``)."""

    RESOLVER = "resolver_error"
    NORES = "insufficient_resources"
    TEMP_NORES = "temp_insufficient_resources"
    INVAL = "wrong_input"
    STATE = "wrong_state"
    NOENT = "unknown_entity"
    EXISTS = "already_exists"
    NOTUNIQUE = "resource_not_unique"
    FAULT = "internal_error"
    ENVIRON = "environment_error"


# -- what /2/features answers: names that every modern client looks for --------------------

RAPI_FEATURES = (
    "instance-create-reqv1",
    "instance-reinstall-reqv1",
    "node-migrate-reqv1",
    "node-evac-res1",
)
