"""Words of the contract: statuses, kinds, limits. No paths, no behaviour.

Sources: the RAPI 2.0 page, Ganeti 2.0.6 and 3.x as measured (``Constants.hs``).
"""

from enum import IntEnum, StrEnum

# -- what we are -------------------------------------------------------------

#: Version of this software; configure.ac says the same (a test compares them).
RELEASE_VERSION = "0.1.0"

RAPI_VERSION = 2
#: Versions shown by /2/info: those of the Ganeti 3.0 whose wire we speak.
CONFIG_VERSION = 3000000
PROTOCOL_VERSION = 3000000
OS_API_VERSION = 20
#: OS definitions of these versions can be carried out (Ganeti: 10, 15, 20).
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
    """Where a job, or one opcode of it, stands. The words are the wire's."""

    QUEUED = "queued"  # accepted and durable; nothing has begun
    WAITING = "waiting"  # its turn came; waits for locks
    CANCELING = "canceling"  # was told to stop, has not stopped yet
    RUNNING = "running"  # its work has begun
    CANCELED = "canceled"  # stopped on request
    SUCCESS = "success"
    ERROR = "error"


JOB_FINAL = frozenset({JobStatus.CANCELED, JobStatus.SUCCESS, JobStatus.ERROR})

PRIORITY_LOWEST = 19
PRIORITY_HIGHEST = -20
PRIORITY_DEFAULT = 0
#: What a submission may ask for; the queue itself uses the whole range.
PRIORITIES_SUBMIT = frozenset({-10, 0, 10})

MAX_RUNNING_JOBS = 20
#: Live jobs that the queue holds before it answers JobQueueFull.
MAX_LIVE_JOBS = 50_000

LOG_MESSAGE = "message"

#: Seconds that a WaitForJobChange may hang, as luxid caps it.
LUXI_WAIT_CAP = 89.0
#: A LUXI connection that says nothing for so long is closed (seconds).
LUXI_IDLE_TIMEOUT = 180.0


# -- queries --------------------------------------------------------------------


class ResultStatus(IntEnum):
    """First half of a query's cell; anything but NORMAL carries null."""

    NORMAL = 0
    UNKNOWN = 1  # no such field
    NODATA = 2  # the node did not say
    UNAVAIL = 3  # has no value here
    OFFLINE = 4  # its node is offline


class FieldKind(StrEnum):
    """Type of a query field, as QueryFields tells it."""

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
    """What the administrator wants an instance to be."""

    UP = "up"
    DOWN = "down"
    OFFLINE = "offline"


class InstanceStatus(StrEnum):
    """Wish and reality of an instance in one word."""

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
    """How an instance's disks are kept."""

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
#: A MAC address that asks for a new one.
VALUE_AUTO = "auto"
VALUE_GENERATE = "generate"
VALUE_NONE = "none"
VALUE_DEFAULT = "default"

MAX_DISKS = 16
MAX_NICS = 8

# -- nodes and groups -----------------------------------------------------------------

NODE_ROLE_MASTER = "M"
NODE_ROLE_CANDIDATE = "C"
NODE_ROLE_REGULAR = "R"
NODE_ROLE_DRAINED = "D"
NODE_ROLE_OFFLINE = "O"

ALLOC_POLICIES = ("preferred", "last_resort", "unallocable")
DEFAULT_GROUP = "default"

#: Network ports that Ganeti keeps for consoles of instances.
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
    """Why an opcode's conditions do not hold (``OpPrereqError``)."""

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


# -- what /2/features says: names that every modern client asks for ----------------------

RAPI_FEATURES = (
    "instance-create-reqv1",
    "instance-reinstall-reqv1",
    "node-migrate-reqv1",
    "node-evac-res1",
)
