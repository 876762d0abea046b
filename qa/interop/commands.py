"""The commands of Ganeti's tools that an operator types, with their output and exit code.

The order matters: later commands use objects of earlier ones. The same commands can be run against
a real Ganeti (``tools --real``), so that the expectations are Ganeti's behaviour.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandCase:
    """A command; words in braces are filled in by the runner.

    ``says``: a regular expression that matches its output. ``code``: its exit code. ``needs``: an
    earlier command that this one depends on. ``keep``: the name under which the first group of
    ``says`` is filled in from then on. ``only``: "ours", where there are three nodes and some
    instances, or "real".
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
    CommandCase("gnt-cluster version", r"^Software version: \S+$(.*\n)*^Internode protocol: 3"),
    CommandCase(
        "gnt-cluster info",
        r"^Cluster name: cluster\.example\.com$(.*\n)*^Enabled hypervisors: "
        r"fake$(.*\n)*^Default instance parameters: $",
    ),
    CommandCase("gnt-cluster getmaster", r"^node1\.example\.com$"),
    CommandCase("gnt-cluster master-ping"),
    CommandCase("gnt-cluster show-ispecs-cmd", r"^gnt-cluster init --ipolicy"),
    CommandCase("gnt-cluster add-tags alpha beta"),
    CommandCase("gnt-cluster list-tags", r"^alpha$\n^beta$"),
    CommandCase("gnt-cluster search-tags ^alp", r"^/cluster alpha$"),
    CommandCase("gnt-cluster remove-tags alpha"),
    CommandCase("gnt-cluster search-tags ^alp", code=1),
    CommandCase("gnt-cluster queue info", r"^The drain flag is unset$"),
    CommandCase("gnt-cluster queue drain"),
    CommandCase("gnt-cluster queue info", r"^The drain flag is set$"),
    CommandCase("gnt-cluster add-tags gamma", r"drain", code=1),
    CommandCase("gnt-cluster redist-conf --yes-do-it"),
    CommandCase("gnt-cluster queue undrain"),
    CommandCase("gnt-cluster watcher pause 1h", r"^The watcher is paused until "),
    CommandCase("gnt-cluster watcher info", r"^The watcher is paused until "),
    CommandCase("gnt-cluster watcher continue", r"^The watcher is no longer paused\.$"),
    CommandCase("gnt-cluster watcher info", r"^The watcher is not paused\.$"),
    # The real cluster lacks /proc/sysrq-trigger where it is tested.
    CommandCase("gnt-cluster verify", r"\* Verifying .*group 'default'", only="ours"),
    CommandCase("gnt-cluster verify-disks"),
    CommandCase("gnt-cluster modify -B vcpus=1"),
    CommandCase("gnt-cluster redist-conf"),
    CommandCase("gnt-cluster repair-disk-sizes"),
]

NODES = [
    CommandCase(
        "gnt-node list",
        r"^Node +DTotal +DFree +MTotal +MNode +MFree +Pinst +Sinst$\n"
        r"^node1\.example\.com ",
    ),
    CommandCase(
        "gnt-node list -o name,role,master,group --no-headers {node}",
        r"^node1\.example\.com M +Y +default$",
    ),
    CommandCase(
        "gnt-node list nope",
        r"error type: unknown_entity, error details:$\n^Node name nope",
        code=1,
    ),
    CommandCase("gnt-node list -o name,bogus", r"bogus", code=14),
    CommandCase("gnt-node list --no-headers -o name -F 'role == \"M\"'", r"^node1\.example\.com$"),
    CommandCase("gnt-node list-fields", r"^ctotal +Number +CTotal "),
    CommandCase("gnt-node list-fields name role", r"^role +Text +Role "),
    CommandCase(
        "gnt-node info", r"^- Node name: node1\.example\.com$(.*\n)*^ +master candidate: True"
    ),
    CommandCase("gnt-node info nope"),
    CommandCase("gnt-node add-tags {node} rack1"),
    CommandCase("gnt-node list-tags {node}", r"^rack1$"),
    CommandCase("gnt-node remove-tags {node} rack1"),
    CommandCase("gnt-node list-tags nope", r"unknown_entity", code=1),
    CommandCase("gnt-node volumes"),
    CommandCase("gnt-node list-storage --storage-type=file", r"^node1\.example\.com +file "),
    CommandCase("gnt-node modify --drained=yes {node}", r"master", code=1),
    CommandCase("gnt-node health {node}", r"^node1\.example\.com \(unavail\)$", code=1),
    CommandCase(
        "gnt-node evacuate -f --secondary-only {node}", r"^No instances to evacuate on node"
    ),
    CommandCase(
        "gnt-node list --no-headers -o name,sip node2", r"^node2\.example\.com ", only="ours"
    ),
    CommandCase("gnt-node modify --offline=yes node3", only="ours"),
    CommandCase("gnt-node modify --offline=no --force node3", only="ours"),
]

GROUPS = [
    CommandCase(
        "gnt-group list", r"^Group +Nodes +Instances +AllocPolicy +NDParams$\n^default +\d"
    ),
    CommandCase("gnt-group list-fields", r"^alloc_policy +Text +AllocPolicy "),
    CommandCase("gnt-group info default", r"^- Node group: default$\n^ +Node parameters: $"),
    CommandCase("gnt-group list-tags default"),
    CommandCase("gnt-group list-tags nope", r"unknown_entity", code=1),
    CommandCase(GROUP),
    CommandCase("gnt-group rename more less", needs=GROUP),
    CommandCase("gnt-group list --no-headers -o name", r"^less$", needs=GROUP),
    CommandCase("gnt-group remove less", needs=GROUP),
]

SYSTEMS = [
    CommandCase("gnt-os list", r"^dummy\+default *$"),
    CommandCase("gnt-os diagnose", r"^OS: dummy \[global status: valid\]$"),
    CommandCase("gnt-os info dummy", r"^dummy:$|^- dummy: $"),
    CommandCase("gnt-os modify --hidden=yes dummy"),
    CommandCase("gnt-os modify --hidden=no dummy"),
]

INSTANCES = [
    CommandCase(ADD + " -t file --disk 0:size=1g -B memory=128 inst1.example.com"),
    CommandCase(ADD + " -t diskless -B memory=128 inst2.example.com"),
    CommandCase(ADD + " -t diskless inst1.example.com", r"error type: already_exists", code=1),
    CommandCase(
        "gnt-instance add -t diskless -o nosuch -n {node} --no-name-check --no-ip-check "
        "inst3.example.com",
        r"nosuch",
        code=1,
    ),
    CommandCase(
        "gnt-instance list",
        r"^Instance +Hypervisor +OS +Primary_node +Status +Memory$\n(.*\n)*"
        r"^inst1\.example\.com +fake +dummy\+default +node1\.example\.com ADMIN_down +-$",
    ),
    CommandCase("gnt-instance list inst2", r"^inst2\.example\.com "),
    CommandCase("gnt-instance list nope", r"unknown_entity", code=1),
    CommandCase(
        "gnt-instance list --no-headers -o name 'inst?.example.com'",
        r"\Ainst1\.example\.com$\n^inst2\.example\.com$\n\Z",
    ),
    CommandCase(
        "gnt-instance list --no-headers -o name -F 'not oper_state and name =~ m/^inst1[.]/'",
        r"\Ainst1\.example\.com$\n\Z",
    ),
    CommandCase(
        "gnt-instance list --no-headers -o name,disk.sizes,nic.count,be/memory,tags inst1",
        r"^inst1\.example\.com 1024 +1 +128M",
    ),
    CommandCase("gnt-instance list -o +disk.sizes inst1", r"^Instance .* Disk_sizes$"),
    CommandCase("gnt-instance list-fields", r"^be/memory +"),
    CommandCase("gnt-instance list-fields name bogus", r"bogus", code=14),
    CommandCase(
        "gnt-instance info inst1",
        r"^- Instance name: inst1\.example\.com$(.*\n)*"
        r"^ +State: configured to be down, actual state is down$",
    ),
    CommandCase("gnt-instance info --all", r"Instance name: inst2\.example\.com"),
    CommandCase("gnt-instance info nope", r"unknown_entity", code=1),
    CommandCase("gnt-instance startup inst1"),
    CommandCase("gnt-instance list --no-headers -o status,oper_state inst1", r"^running +Y$"),
    CommandCase("gnt-instance startup nope", r"does not match any instances", code=1),
    CommandCase("gnt-instance startup --all --force-multiple", r"inst2"),
    CommandCase("gnt-instance reboot inst1"),
    CommandCase("gnt-instance console --show-cmd inst1", r"fake"),
    CommandCase("gnt-instance console nope", r"unknown_entity", code=1),
    CommandCase("gnt-instance shutdown --primary --force-multiple {node}", r"inst1"),
    CommandCase("gnt-instance shutdown --all --force-multiple", r"inst2"),
    CommandCase("gnt-instance list --no-headers -o status inst1", r"^ADMIN_down$"),
    CommandCase("gnt-instance add-tags inst1 web db"),
    CommandCase("gnt-instance list-tags inst1", r"^db$\n^web$"),
    CommandCase("gnt-instance remove-tags inst1 db"),
    CommandCase("gnt-instance list-tags nope", r"unknown_entity", code=1),
    CommandCase("gnt-instance startup --tags --force-multiple web", r"inst1"),
    CommandCase("gnt-instance shutdown inst1"),
    CommandCase("gnt-instance reinstall -f inst1"),
    CommandCase(MODIFY, r"^ - be/(mem|maxmem)"),
    CommandCase("gnt-instance list --no-headers -o be/maxmem inst1", r"^256M$", needs=MODIFY),
    CommandCase("gnt-instance activate-disks inst1", r"disk/0"),
    CommandCase("gnt-instance deactivate-disks inst1"),
    CommandCase("gnt-instance grow-disk inst1 0 100m"),
    CommandCase("gnt-instance failover -f inst1", r"does not allow failovers", code=1),
    CommandCase("gnt-instance migrate -f inst1", r"does not allow migrations", code=1),
    CommandCase(RENAME),
    CommandCase(
        "gnt-instance list --no-headers -o name inst4", r"^inst4\.example\.com$", needs=RENAME
    ),
    CommandCase("gnt-instance batch-create {batch}"),
    CommandCase("gnt-instance remove -f inst1"),
    CommandCase("gnt-instance remove -f nope", r"unknown_entity", code=1),
]

OTHERS = [
    CommandCase("gnt-network list", r"^Network +Subnet "),
    CommandCase("gnt-network list-fields", r"^mac_prefix +"),
    CommandCase(NETWORK),
    CommandCase(
        "gnt-network list --no-headers -o name,network", r"^lan +192\.0\.2\.0/24$", needs=NETWORK
    ),
    CommandCase("gnt-network info lan", r"192\.0\.2\.0/24", needs=NETWORK),
    CommandCase("gnt-network list-tags lan", needs=NETWORK),
    CommandCase("gnt-network remove lan", needs=NETWORK),
    CommandCase("gnt-network list-tags nope", r"unknown_entity", code=1),
    CommandCase("gnt-backup list", r"^Node +Export$"),
    CommandCase("gnt-backup list-fields", r"^export +"),
    CommandCase("gnt-filter list", r"^UUID +Watermark +Priority +Predicates +Action +ReasonTrail$"),
    CommandCase(
        f"gnt-filter add --priority=5 --action=PAUSE --reason=quiet --predicates='{FILTER}'",
        r"^([0-9a-f-]{36})$",
        keep="filter",
    ),
    CommandCase("gnt-filter info {filter}", r"{filter}"),
    CommandCase("gnt-filter list --no-headers -o priority,action", r"^5 +PAUSE *$"),
    CommandCase("gnt-debug delay --submit --reason=later 0.1", r"^JobID: (\d+)$", keep="job"),
    CommandCase("gnt-debug delay 0.1"),
    CommandCase("gnt-job list --no-headers -o status {job}", r"^queued$"),
    CommandCase("gnt-filter replace --priority=6 --action='RATE_LIMIT 1' {filter}"),
    CommandCase("gnt-job wait {job}"),
    CommandCase("gnt-filter delete {filter}"),
    CommandCase("gnt-filter delete {filter}", r"does not exist", code=1),
    CommandCase("gnt-debug locks", r"^Name +Mode +Owner +Pending$"),
    CommandCase("gnt-debug submit-job {ops}"),
    CommandCase("gnt-debug submit-job {wrong_ops}", r"duration", code=1),
]

JOBS = [
    CommandCase("gnt-job list", r"^ *ID +Status +Summary$\n(.*\n)*^ *\d+ +success +"),
    CommandCase("gnt-job list 1 2", r"^ *2 +success "),
    CommandCase("gnt-job list 99999", r"^99999 +- "),
    CommandCase("gnt-job list -o id,bogus 1", r"bogus", code=14),
    CommandCase("gnt-job list --error", r"^ *\d+ error +INSTANCE_"),
    CommandCase("gnt-job list --finished", r"^ *\d+ success +"),
    CommandCase("gnt-job list --running", r"^ *ID +Status +Summary$"),
    CommandCase("gnt-job list --pending", r"^ *ID +Status +Summary$"),
    CommandCase("gnt-job list -F 'status == \"error\" and id > 2'", r"^ *\d+ error "),
    CommandCase("gnt-job list -F 'status =~ m/^err/'", r"^ *\d+ error "),
    CommandCase("gnt-job list-fields", r"^summary +Custom +Summary "),
    CommandCase("gnt-job list-fields id bogus", r"bogus", code=14),
    CommandCase("gnt-job info {job}", r"^ *-? *Job ID: {job}$"),
    CommandCase("gnt-job info 99999", r"99999"),
    CommandCase("gnt-job watch {job}"),
    CommandCase("gnt-job watch 99999", r"99999", code=1),
    CommandCase("gnt-job archive {job}"),
    CommandCase("gnt-job archive 99999", code=1),
    CommandCase("gnt-job list --archived --no-headers -o id,archived {job}", r"^ *{job} +Y$"),
    CommandCase("gnt-debug delay --submit 60", r"^JobID: (\d+)$", keep="long"),
    CommandCase(
        "gnt-job list --no-headers {long}", r"^ *{long} +(queued|waiting|running) +TEST_DELAY"
    ),
    CommandCase("gnt-job change-priority --priority=low {long}"),
    CommandCase("gnt-job cancel 99999", r"not found", code=1),
    CommandCase("gnt-job cancel --kill --yes-do-it {long}"),
    CommandCase("gnt-job wait {long}", r"^Job {long} ", code=1),
    CommandCase("gnt-job cancel --pending --force", r"No jobs with the requested status", code=1),
    CommandCase("gnt-job autoarchive 1d"),
    CommandCase("gnt-job autoarchive all"),
]

HTOOLS = [
    CommandCase("hinfo -L{socket} -p", r"vcpu_ratio_cv"),
    CommandCase("hbal -L{socket}", r"Solution length=|already well balanced"),
    CommandCase("hspace -L{socket} --machine-readable --disk-template file", r"^HTS_SPEC"),
]

#: One of the instances has died unnoticed.
WATCHER = [
    CommandCase("gnt-group list --no-headers -o uuid", r"^([0-9a-f-]{36})$", keep="group"),
    CommandCase("gnt-instance list --no-headers -o status instance5", r"^ERROR_down$", only="ours"),
    CommandCase("ganeti-watcher --ignore-pause --node-group={group}", only="ours"),
    CommandCase("gnt-instance list --no-headers -o status instance5", r"^running$", only="ours"),
]

STORY = [*WATCHER, *CLUSTER, *NODES, *GROUPS, *SYSTEMS, *INSTANCES, *OTHERS, *JOBS, *HTOOLS]
