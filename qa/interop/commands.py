"""The commands of Ganeti's own tools that an operator types: what they say, and how they end.

In the order of a story: later ones use what earlier ones made. The same story can be told to
a real Ganeti (``tools --real``), so that what is expected here is what Ganeti does.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One command; words in braces are put in by who runs it.

    ``says``: a regular expression that its output holds. ``code``: its exit code. ``needs``:
    an earlier command without which this one means nothing. ``keep``: the name under which
    what the first group of ``says`` matched is put in from then on. ``only``: "ours", where
    there are three nodes and some instances, or "real".
    """

    command: str
    says: str = ""
    code: int = 0
    needs: str = ""
    keep: str = ""
    only: str = ""


ADD = "gnt-instance add -o {os} -n {node} --no-name-check --no-ip-check --no-start"
NETWORK = "gnt-network add --network=192.0.2.0/24 lan"
GROUP = "gnt-group add more"
MODIFY = "gnt-instance modify -B memory=256 inst1"
RENAME = "gnt-instance rename --force --no-name-check --no-ip-check inst2 inst4.example.com"
FILTER = '[["reason", ["==", "reason", "later"]]]'

CLUSTER = [
    Row("gnt-cluster version", r"^Software version: \S+$(.*\n)*^Internode protocol: 3"),
    Row(
        "gnt-cluster info",
        r"^Cluster name: cluster\.example\.com$(.*\n)*^Enabled hypervisors: "
        r"fake$(.*\n)*^Default instance parameters: $",
    ),
    Row("gnt-cluster getmaster", r"^node1\.example\.com$"),
    Row("gnt-cluster master-ping"),
    Row("gnt-cluster show-ispecs-cmd", r"^gnt-cluster init --ipolicy"),
    Row("gnt-cluster add-tags alpha beta"),
    Row("gnt-cluster list-tags", r"^alpha$\n^beta$"),
    Row("gnt-cluster search-tags ^alp", r"^/cluster alpha$"),
    Row("gnt-cluster remove-tags alpha"),
    Row("gnt-cluster search-tags ^alp", code=1),
    Row("gnt-cluster queue info", r"^The drain flag is unset$"),
    Row("gnt-cluster queue drain"),
    Row("gnt-cluster queue info", r"^The drain flag is set$"),
    Row("gnt-cluster add-tags gamma", r"drain", code=1),
    Row("gnt-cluster redist-conf --yes-do-it"),
    Row("gnt-cluster queue undrain"),
    Row("gnt-cluster watcher pause 1h", r"^The watcher is paused until "),
    Row("gnt-cluster watcher info", r"^The watcher is paused until "),
    Row("gnt-cluster watcher continue", r"^The watcher is no longer paused\.$"),
    Row("gnt-cluster watcher info", r"^The watcher is not paused\.$"),
    # The real one misses /proc/sysrq-trigger where it is tried.
    Row("gnt-cluster verify", r"\* Verifying .*group 'default'", only="ours"),
    Row("gnt-cluster verify-disks"),
    Row("gnt-cluster modify -B vcpus=1"),
    Row("gnt-cluster redist-conf"),
    Row("gnt-cluster repair-disk-sizes"),
]

NODES = [
    Row(
        "gnt-node list",
        r"^Node +DTotal +DFree +MTotal +MNode +MFree +Pinst +Sinst$\n"
        r"^node1\.example\.com ",
    ),
    Row(
        "gnt-node list -o name,role,master,group --no-headers {node}",
        r"^node1\.example\.com M +Y +default$",
    ),
    Row(
        "gnt-node list nope",
        r"error type: unknown_entity, error details:$\n^Node name nope",
        code=1,
    ),
    Row("gnt-node list -o name,bogus", r"bogus", code=14),
    Row("gnt-node list --no-headers -o name -F 'role == \"M\"'", r"^node1\.example\.com$"),
    Row("gnt-node list-fields", r"^ctotal +Number +CTotal "),
    Row("gnt-node list-fields name role", r"^role +Text +Role "),
    Row("gnt-node info", r"^- Node name: node1\.example\.com$(.*\n)*^ +master candidate: True"),
    Row("gnt-node info nope"),
    Row("gnt-node add-tags {node} rack1"),
    Row("gnt-node list-tags {node}", r"^rack1$"),
    Row("gnt-node remove-tags {node} rack1"),
    Row("gnt-node list-tags nope", r"unknown_entity", code=1),
    Row("gnt-node volumes"),
    Row("gnt-node list-storage --storage-type=file", r"^node1\.example\.com +file "),
    Row("gnt-node modify --drained=yes {node}", r"master", code=1),
    Row("gnt-node health {node}", r"^node1\.example\.com \(unavail\)$", code=1),
    Row("gnt-node evacuate -f --secondary-only {node}", r"^No instances to evacuate on node"),
    Row("gnt-node list --no-headers -o name,sip node2", r"^node2\.example\.com ", only="ours"),
    Row("gnt-node modify --offline=yes node3", only="ours"),
    Row("gnt-node modify --offline=no --force node3", only="ours"),
]

GROUPS = [
    Row("gnt-group list", r"^Group +Nodes +Instances +AllocPolicy +NDParams$\n^default +\d"),
    Row("gnt-group list-fields", r"^alloc_policy +Text +AllocPolicy "),
    Row("gnt-group info default", r"^- Node group: default$\n^ +Node parameters: $"),
    Row("gnt-group list-tags default"),
    Row("gnt-group list-tags nope", r"unknown_entity", code=1),
    Row(GROUP),
    Row("gnt-group rename more less", needs=GROUP),
    Row("gnt-group list --no-headers -o name", r"^less$", needs=GROUP),
    Row("gnt-group remove less", needs=GROUP),
]

SYSTEMS = [
    Row("gnt-os list", r"^dummy\+default *$"),
    Row("gnt-os diagnose", r"^OS: dummy \[global status: valid\]$"),
    Row("gnt-os info dummy", r"^dummy:$|^- dummy: $"),
    Row("gnt-os modify --hidden=yes dummy"),
    Row("gnt-os modify --hidden=no dummy"),
]

INSTANCES = [
    Row(ADD + " -t file --disk 0:size=1g -B memory=128 inst1.example.com"),
    Row(ADD + " -t diskless -B memory=128 inst2.example.com"),
    Row(ADD + " -t diskless inst1.example.com", r"error type: already_exists", code=1),
    Row(
        "gnt-instance add -t diskless -o nosuch -n {node} --no-name-check --no-ip-check "
        "inst3.example.com",
        r"nosuch",
        code=1,
    ),
    Row(
        "gnt-instance list",
        r"^Instance +Hypervisor +OS +Primary_node +Status +Memory$\n(.*\n)*"
        r"^inst1\.example\.com +fake +dummy\+default +node1\.example\.com ADMIN_down +-$",
    ),
    Row("gnt-instance list inst2", r"^inst2\.example\.com "),
    Row("gnt-instance list nope", r"unknown_entity", code=1),
    Row(
        "gnt-instance list --no-headers -o name 'inst?.example.com'",
        r"\Ainst1\.example\.com$\n^inst2\.example\.com$\n\Z",
    ),
    Row(
        "gnt-instance list --no-headers -o name -F 'not oper_state and name =~ m/^inst1[.]/'",
        r"\Ainst1\.example\.com$\n\Z",
    ),
    Row(
        "gnt-instance list --no-headers -o name,disk.sizes,nic.count,be/memory,tags inst1",
        r"^inst1\.example\.com 1024 +1 +128M",
    ),
    Row("gnt-instance list -o +disk.sizes inst1", r"^Instance .* Disk_sizes$"),
    Row("gnt-instance list-fields", r"^be/memory +"),
    Row("gnt-instance list-fields name bogus", r"bogus", code=14),
    Row(
        "gnt-instance info inst1",
        r"^- Instance name: inst1\.example\.com$(.*\n)*"
        r"^ +State: configured to be down, actual state is down$",
    ),
    Row("gnt-instance info --all", r"Instance name: inst2\.example\.com"),
    Row("gnt-instance info nope", r"unknown_entity", code=1),
    Row("gnt-instance startup inst1"),
    Row("gnt-instance list --no-headers -o status,oper_state inst1", r"^running +Y$"),
    Row("gnt-instance startup nope", r"does not match any instances", code=1),
    Row("gnt-instance startup --all --force-multiple", r"inst2"),
    Row("gnt-instance reboot inst1"),
    Row("gnt-instance console --show-cmd inst1", r"fake"),
    Row("gnt-instance console nope", r"unknown_entity", code=1),
    Row("gnt-instance shutdown --primary --force-multiple {node}", r"inst1"),
    Row("gnt-instance shutdown --all --force-multiple", r"inst2"),
    Row("gnt-instance list --no-headers -o status inst1", r"^ADMIN_down$"),
    Row("gnt-instance add-tags inst1 web db"),
    Row("gnt-instance list-tags inst1", r"^db$\n^web$"),
    Row("gnt-instance remove-tags inst1 db"),
    Row("gnt-instance list-tags nope", r"unknown_entity", code=1),
    Row("gnt-instance startup --tags --force-multiple web", r"inst1"),
    Row("gnt-instance shutdown inst1"),
    Row("gnt-instance reinstall -f inst1"),
    Row(MODIFY, r"^ - be/(mem|maxmem)"),
    Row("gnt-instance list --no-headers -o be/maxmem inst1", r"^256M$", needs=MODIFY),
    Row("gnt-instance activate-disks inst1", r"disk/0"),
    Row("gnt-instance deactivate-disks inst1"),
    Row("gnt-instance grow-disk inst1 0 100m"),
    Row("gnt-instance failover -f inst1", r"does not allow failovers", code=1),
    Row("gnt-instance migrate -f inst1", r"does not allow migrations", code=1),
    Row(RENAME),
    Row("gnt-instance list --no-headers -o name inst4", r"^inst4\.example\.com$", needs=RENAME),
    Row("gnt-instance batch-create {batch}"),
    Row("gnt-instance remove -f inst1"),
    Row("gnt-instance remove -f nope", r"unknown_entity", code=1),
]

OTHERS = [
    Row("gnt-network list", r"^Network +Subnet "),
    Row("gnt-network list-fields", r"^mac_prefix +"),
    Row(NETWORK),
    Row("gnt-network list --no-headers -o name,network", r"^lan +192\.0\.2\.0/24$", needs=NETWORK),
    Row("gnt-network info lan", r"192\.0\.2\.0/24", needs=NETWORK),
    Row("gnt-network list-tags lan", needs=NETWORK),
    Row("gnt-network remove lan", needs=NETWORK),
    Row("gnt-network list-tags nope", r"unknown_entity", code=1),
    Row("gnt-backup list", r"^Node +Export$"),
    Row("gnt-backup list-fields", r"^export +"),
    Row("gnt-filter list", r"^UUID +Watermark +Priority +Predicates +Action +ReasonTrail$"),
    Row(
        f"gnt-filter add --priority=5 --action=PAUSE --reason=quiet --predicates='{FILTER}'",
        r"^([0-9a-f-]{36})$",
        keep="filter",
    ),
    Row("gnt-filter info {filter}", r"{filter}"),
    Row("gnt-filter list --no-headers -o priority,action", r"^5 +PAUSE *$"),
    Row("gnt-debug delay --submit --reason=later 0.1", r"^JobID: (\d+)$", keep="job"),
    Row("gnt-debug delay 0.1"),
    Row("gnt-job list --no-headers -o status {job}", r"^queued$"),
    Row("gnt-filter replace --priority=6 --action='RATE_LIMIT 1' {filter}"),
    Row("gnt-job wait {job}"),
    Row("gnt-filter delete {filter}"),
    Row("gnt-filter delete {filter}", r"does not exist", code=1),
    Row("gnt-debug locks", r"^Name +Mode +Owner +Pending$"),
    Row("gnt-debug submit-job {ops}"),
    Row("gnt-debug submit-job {wrong_ops}", r"duration", code=1),
]

JOBS = [
    Row("gnt-job list", r"^ *ID +Status +Summary$\n(.*\n)*^ *\d+ +success +"),
    Row("gnt-job list 1 2", r"^ *2 +success "),
    Row("gnt-job list 99999", r"^99999 +- "),
    Row("gnt-job list -o id,bogus 1", r"bogus", code=14),
    Row("gnt-job list --error", r"^ *\d+ error +INSTANCE_"),
    Row("gnt-job list --finished", r"^ *\d+ success +"),
    Row("gnt-job list --running", r"^ *ID +Status +Summary$"),
    Row("gnt-job list --pending", r"^ *ID +Status +Summary$"),
    Row("gnt-job list -F 'status == \"error\" and id > 2'", r"^ *\d+ error "),
    Row("gnt-job list -F 'status =~ m/^err/'", r"^ *\d+ error "),
    Row("gnt-job list-fields", r"^summary +Custom +Summary "),
    Row("gnt-job list-fields id bogus", r"bogus", code=14),
    Row("gnt-job info {job}", r"^ *-? *Job ID: {job}$"),
    Row("gnt-job info 99999", r"99999"),
    Row("gnt-job watch {job}"),
    Row("gnt-job watch 99999", r"99999", code=1),
    Row("gnt-job archive {job}"),
    Row("gnt-job archive 99999", code=1),
    Row("gnt-job list --archived --no-headers -o id,archived {job}", r"^ *{job} +Y$"),
    Row("gnt-debug delay --submit 60", r"^JobID: (\d+)$", keep="long"),
    Row("gnt-job list --no-headers {long}", r"^ *{long} +(queued|waiting|running) +TEST_DELAY"),
    Row("gnt-job change-priority --priority=low {long}"),
    Row("gnt-job cancel 99999", r"not found", code=1),
    Row("gnt-job cancel --kill --yes-do-it {long}"),
    Row("gnt-job wait {long}", r"^Job {long} ", code=1),
    Row("gnt-job cancel --pending --force", r"No jobs with the requested status", code=1),
    Row("gnt-job autoarchive 1d"),
    Row("gnt-job autoarchive all"),
]

HTOOLS = [
    Row("hinfo -L{socket} -p", r"vcpu_ratio_cv"),
    Row("hbal -L{socket}", r"Solution length=|already well balanced"),
    Row("hspace -L{socket} --machine-readable --disk-template file", r"^HTS_SPEC"),
]

#: One of the instances died while nobody looked.
WATCHER = [
    Row("gnt-group list --no-headers -o uuid", r"^([0-9a-f-]{36})$", keep="group"),
    Row("gnt-instance list --no-headers -o status instance5", r"^ERROR_down$", only="ours"),
    Row("ganeti-watcher --ignore-pause --node-group={group}", only="ours"),
    Row("gnt-instance list --no-headers -o status instance5", r"^running$", only="ours"),
]

STORY = [*WATCHER, *CLUSTER, *NODES, *GROUPS, *SYSTEMS, *INSTANCES, *OTHERS, *JOBS, *HTOOLS]
