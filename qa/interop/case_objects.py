"""Every resource read, with something in it; groups, networks, filters, tags made and gone."""

from basics import NODE, USER, create

RICH = "/2/instances/askrich.example.com"
GROUP, NETWORK = "/2/groups/askgroup", "/2/networks/asknet"
#: A uuid that nothing has.
NOBODY = "00000000-0000-4000-8000-000000000000"
RULE = {"priority": 5, "predicates": [["jobid", [">", "id", 999999999]]], "action": "PAUSE",
        "reason": []}
#: Fields of every kind that a query can ask for.
QUERIES = {
    "instance": "name,status,beparams,hvparams,disk.sizes,nic.macs,admin_state,oper_ram,be/vcpus,"
                "nic.count,pnode.group,console,tags,ctime,uuid,nosuch",
    "node": "name,role,mfree,dtotal,group,pinst_list,offline,powered,ndparams,ctime,tags,nosuch",
    "group": "name,uuid,node_cnt,alloc_policy,ipolicy,pinst_cnt,diskparams,tags,nosuch",
    "network": "name,network,free_count,group_list,map,mac_prefix,nosuch",
    "job": "id,status,summary,ops,opresult,received_ts,priority,archived,nosuch",
    "lock": "name,mode,owner,pending,nosuch",
    "export": "node,export,nosuch",
    "filter": "uuid,priority,predicates,action,watermark,reason_trail,nosuch",
}

MADE = {
    "add group": ("POST", "/2/groups", {"name": "askgroup"}),
    "add group again": ("POST", "/2/groups", {"group_name": "askgroup"}),
    "add group by both names": ("POST", "/2/groups", {"name": "a", "group_name": "b"}),
    "add network": ("POST", "/2/networks", {
        "name": "asknet", "network": "192.0.2.0/28", "gateway": "192.0.2.1", "tags": ["a"],
        "add_reserved_ips": ["192.0.2.9"]}),
    "add network again": ("POST", "/2/networks", {
        "network_name": "asknet", "network": "192.0.2.0/28"}),
    "add network with tags of null": ("POST", "/2/networks?dry-run=1", {
        "network_name": "other", "network": "192.0.2.0/28", "tags": None}),
    "add network without a length": ("POST", "/2/networks?dry-run=1", {
        "network_name": "other", "network": "192.0.2.0", "network6": "2001:db8::"}),
    "add network that is none": ("POST", "/2/networks", {
        "network_name": "other", "network": "192.0.2.0/99"}),
    "add network with a gateway outside": ("POST", "/2/networks?dry-run=1", {
        "network_name": "other", "network": "192.0.2.16/28", "gateway": "192.0.2.1"}),
    "connect network": ("PUT", f"{NETWORK}/connect", {
        "group_name": "default", "network_mode": "bridged", "network_link": "br0"}),
    "connect network again": ("PUT", f"{NETWORK}/connect", {
        "group_name": "default", "network_mode": "bridged", "network_link": "br0"}),
    "connect to an unknown group": ("PUT", f"{NETWORK}/connect", {
        "group_name": "nosuch", "network_mode": "bridged", "network_link": "br0"}),
    "add filter": ("POST", "/2/filters", RULE),
    "create rich": create(name="askrich.example.com", disk_template="file",
                          disks=[{"size": 1024, "name": "root"}], nics=[{"name": "eth"}],
                          tags=["a", "b"], beparams={"vcpus": 2}, start=True),
}
READ = {
    "read /": ("GET", "/"),
    "read /2": ("GET", "/2"),
    "read version": ("GET", "/version"),
    "read info": ("GET", "/2/info"),
    "read features": ("GET", "/2/features"),
    "read os": ("GET", "/2/os"),
    "read cluster tags": ("GET", "/2/tags"),
    "read instances": ("GET", "/2/instances"),
    "read instances in bulk": ("GET", "/2/instances?bulk=1"),
    "read instance": ("GET", RICH),
    "read instance tags": ("GET", f"{RICH}/tags"),
    "read instance info": ("GET", f"{RICH}/info"),
    "read instance info, static": ("GET", f"{RICH}/info?static=1"),
    "read instance info of nobody": ("GET", "/2/instances/nosuch/info"),
    "read console": ("GET", f"{RICH}/console"),
    "read console of nobody": ("GET", "/2/instances/nosuch/console"),
    "read console without password": ("GET", f"{RICH}/console", None, None),
    "read nodes": ("GET", "/2/nodes"),
    "read nodes in bulk": ("GET", "/2/nodes?bulk=1"),
    "read node": ("GET", f"/2/nodes/{NODE}"),
    "read node role": ("GET", f"/2/nodes/{NODE}/role"),
    "read node role of nobody": ("GET", "/2/nodes/nosuch/role"),
    "read node tags": ("GET", f"/2/nodes/{NODE}/tags"),
    "read storage": ("GET", f"/2/nodes/{NODE}/storage?storage_type=file&output_fields=name,free"),
    "read storage without a type": ("GET", f"/2/nodes/{NODE}/storage?output_fields=name"),
    "read storage without fields": ("GET", f"/2/nodes/{NODE}/storage?storage_type=file"),
    "read storage of an odd type": (
        "GET", f"/2/nodes/{NODE}/storage?storage_type=nosuch&output_fields=name"),
    "read storage without password": (
        "GET", f"/2/nodes/{NODE}/storage?storage_type=file&output_fields=name", None, None),
    "read groups": ("GET", "/2/groups"),
    "read groups in bulk": ("GET", "/2/groups?bulk=1"),
    "read group": ("GET", "/2/groups/default"),
    "read group tags": ("GET", "/2/groups/default/tags"),
    "read group tags of nobody": ("GET", "/2/groups/nosuch/tags"),
    "read networks": ("GET", "/2/networks"),
    "read networks in bulk": ("GET", "/2/networks?bulk=1"),
    "read network": ("GET", NETWORK),
    "read network of nobody": ("GET", "/2/networks/nosuch"),
    "read network tags": ("GET", f"{NETWORK}/tags"),
    "read network tags of nobody": ("GET", "/2/networks/nosuch/tags"),
    "read jobs": ("GET", "/2/jobs"),
    "read jobs in bulk": ("GET", "/2/jobs?bulk=1"),
    "read job": ("GET", "/2/jobs/{job}"),
    "cancel a job that has ended": ("DELETE", "/2/jobs/{job}"),
    "cancel without password": ("DELETE", "/2/jobs/{job}", None, None),
    "wait for a job": ("GET", "/2/jobs/{job}/wait", {
        "fields": ["id", "status"], "previous_job_info": None, "previous_log_serial": None}),
    "wait for a job without password": ("GET", "/2/jobs/{job}/wait", {
        "fields": ["id"], "previous_job_info": None, "previous_log_serial": None}, None, None),
    "wait for a job without fields": ("GET", "/2/jobs/{job}/wait", {
        "previous_job_info": None, "previous_log_serial": None}),
    "wait for a job, fields in words": ("GET", "/2/jobs/{job}/wait", {
        "fields": "id", "previous_job_info": None, "previous_log_serial": None}),
    "wait for a job, a list": ("GET", "/2/jobs/{job}/wait", ["id"]),
    "wait for a job that is not": ("GET", "/2/jobs/999999999/wait", {
        "fields": ["id"], "previous_job_info": None, "previous_log_serial": None}),
    "read filters": ("GET", "/2/filters"),
    "read filters in bulk": ("GET", "/2/filters?bulk=1"),
    "read filter": ("GET", "/2/filters/{filter}"),
    "read filter of nobody": ("GET", f"/2/filters/{NOBODY}"),
    "read filter that is no uuid": ("GET", "/2/filters/nosuch"),
    "lock of a list": ("GET", "/2/instances?bulk=1&lock=1"),
    "lock of a node": ("GET", f"/2/nodes/{NODE}?lock=1"),
}
ASKED = {
    **{f"query {kind}": ("GET", f"/2/query/{kind}?fields={fields}")
       for kind, fields in QUERIES.items()},
    **{f"query fields of {kind}": ("GET", f"/2/query/{kind}/fields") for kind in QUERIES},
    "query without fields": ("GET", "/2/query/instance"),
    "query an unknown kind": ("GET", "/2/query/nosuch?fields=name"),
    "query fields of an unknown kind": ("GET", "/2/query/nosuch/fields"),
    "query an unknown field's description": ("GET", "/2/query/node/fields?fields=name,nosuch"),
    "query without password": ("GET", "/2/query/instance?fields=name", None, None),
    "query with a wrong password": ("GET", "/2/query/instance?fields=name", None, USER, "x"),
    "query by body": ("PUT", "/2/query/instance", {"fields": ["name", "status"]}),
    "query by body and words": ("PUT", "/2/query/instance?fields=name", {}),
    "query with a filter": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": ["=", "name", "askrich.example.com"]}),
    "query with a filter of old": ("PUT", "/2/query/instance", {
        "fields": ["name"], "filter": ["|", ["=", "name", "askrich.example.com"]]}),
    "query with an empty filter": ("PUT", "/2/query/instance", {"fields": ["name"],
                                                                "qfilter": []}),
    "query with no filter": ("PUT", "/2/query/instance", {"fields": ["name"], "qfilter": None}),
    "query with an unknown operator": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": ["~~", "name", "x"]}),
    "query with a filter in words": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": "name"}),
    "query with an unknown field in the filter": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": ["=", "nosuch", "x"]}),
    "query with a bad expression": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": ["=~", "name", "("]}),
    "query with a filter of a wrong type": ("PUT", "/2/query/instance", {
        "fields": ["name"], "qfilter": ["=", "oper_vcpus", "x"]}),
    "query with fields in words": ("PUT", "/2/query/instance", {"fields": "name"}),
    "query with numbers for fields": ("PUT", "/2/query/instance", {"fields": [1]}),
    "query with a list": ("PUT", "/2/query/instance", ["name"]),
    "query with no body": ("PUT", "/2/query/instance"),
    "query with no JSON": ("PUT", "/2/query/instance", b"{nonsense"),
}
CHANGED = {
    "filter with a negative priority": ("POST", "/2/filters", {**RULE, "priority": -1}),
    "filter with a priority in words": ("POST", "/2/filters", {**RULE, "priority": "high"}),
    "filter with an unknown action": ("POST", "/2/filters", {**RULE, "action": "nosuch"}),
    "filter with a limit of none": ("POST", "/2/filters", {**RULE, "action": ["RATE_LIMIT", 0]}),
    "filter with an unknown predicate": ("POST", "/2/filters", {
        **RULE, "predicates": [["nosuch", ["=", "id", 1]]]}),
    "filter with predicates in words": ("POST", "/2/filters", {**RULE, "predicates": "all"}),
    "filter with a key too many": ("POST", "/2/filters", {**RULE, "bogus": 1}),
    "filter with a reason in words": ("POST", "/2/filters", {**RULE, "reason": "mine"}),
    "filter of a list": ("POST", "/2/filters", [1]),
    "filter without password": ("POST", "/2/filters", RULE, None, None),
    "replace filter": ("PUT", "/2/filters/{filter}", {**RULE, "priority": 7}),
    "replace filter of no uuid": ("PUT", "/2/filters/nosuch", RULE),
    "remove filter of nobody": ("DELETE", f"/2/filters/{NOBODY}"),
    "remove filter without password": ("DELETE", "/2/filters/{filter}", None, None),
    "remove filter": ("DELETE", "/2/filters/{filter}"),
    "tag group": ("PUT", f"{GROUP}/tags?tag=x&tag=y"),
    "untag group": ("DELETE", f"{GROUP}/tags?tag=x"),
    "tag network": ("PUT", f"{NETWORK}/tags?tag=x"),
    "tag node": ("PUT", f"/2/nodes/{NODE}/tags?tag=ask"),
    "untag node": ("DELETE", f"/2/nodes/{NODE}/tags?tag=ask"),
    "modify group": ("PUT", f"{GROUP}/modify", {"alloc_policy": "last_resort"}),
    "modify group's nodes": ("PUT", f"{GROUP}/modify", {"ndparams": {"oob_program": ""}}),
    "modify group by an odd parameter": ("PUT", f"{GROUP}/modify", {"ndparams": {"nosuch": 1}}),
    "modify group by a custom name": ("PUT", f"{GROUP}/modify", {"custom_ipolicy": {}}),
    "modify group without a body": ("PUT", f"{GROUP}/modify"),
    "rename group to one that is": ("PUT", f"{GROUP}/rename", {"new_name": "default"}),
    "rename group": ("PUT", f"{GROUP}/rename", {"new_name": "asked"}),
    "remove group": ("DELETE", "/2/groups/asked"),
    "remove the last group": ("DELETE", "/2/groups/default?dry-run=1"),
    "assign nodes": ("PUT", "/2/groups/default/assign-nodes", {"nodes": [NODE]}),
    "modify network": ("PUT", f"{NETWORK}/modify", {"mac_prefix": "aa:00:02"}),
    "modify network by an odd prefix": ("PUT", f"{NETWORK}/modify", {"mac_prefix": "zz"}),
    "modify network without a body": ("PUT", f"{NETWORK}/modify"),
    "remove a network in use": ("DELETE", NETWORK),
    "disconnect network": ("PUT", f"{NETWORK}/disconnect", {"group_name": "default"}),
    "disconnect network again": ("PUT", f"{NETWORK}/disconnect", {"group_name": "default"}),
    "remove network": ("DELETE", NETWORK),
    "modify instance": ("PUT", f"{RICH}/modify", {"beparams": {"vcpus": 3}}),
    "modify instance by custom names": ("PUT", f"{RICH}/modify", {
        "custom_beparams": {"vcpus": 4}}),
    "modify instance by both names": ("PUT", f"{RICH}/modify", {
        "custom_beparams": {"vcpus": 4}, "beparams": {}}),
    "modify instance by an odd parameter": ("PUT", f"{RICH}/modify", {"beparams": {"nosuch": 1}}),
    "modify instance by a wrong type": ("PUT", f"{RICH}/modify", {"beparams": {"vcpus": "x"}}),
    "modify instance by a hypervisor's wrong type": ("PUT", f"{RICH}/modify", {
        "hvparams": {"kernel_path": None}}),
    "modify instance back to defaults": ("PUT", f"{RICH}/modify", {
        "beparams": {"memory": None, "vcpus": "default"}}),
    "modify instance: disk of a size with a unit": ("PUT", f"{RICH}/modify", {
        "disks": [["add", {"size": "1G"}]]}),
    "modify instance: another size of a disk": ("PUT", f"{RICH}/modify", {
        "disks": [["modify", 0, {"size": "2g"}]]}),
    "modify instance: attach nothing": ("PUT", f"{RICH}/modify", {"disks": [["attach", {}]]}),
    "modify instance: detach a card": ("PUT", f"{RICH}/modify", {"nics": [["detach", {}]]}),
    "recreate disks by a size with a unit": ("POST", f"{RICH}/recreate-disks", {
        "disks": [[0, {"size": "1g"}]]}),
    "modify instance without anything": ("PUT", f"{RICH}/modify", {}),
    "modify instance without a body": ("PUT", f"{RICH}/modify"),
    "modify the cluster": ("PUT", "/2/modify", {"maintain_node_health": False}),
    "modify the cluster's compression": ("PUT", "/2/modify", {"compression_tools": ["gzip"]}),
    "modify the cluster without a body": ("PUT", "/2/modify"),
    "redistribute": ("PUT", "/2/redistribute-config"),
    "migrate": ("PUT", f"{RICH}/migrate", {"mode": "live"}),
    "failover": ("PUT", f"{RICH}/failover", {}),
    "replace disks": ("POST", f"{RICH}/replace-disks", {"mode": "replace_on_primary"}),
    "replace disks without mode": ("POST", f"{RICH}/replace-disks", {}),
    "activate disks": ("PUT", f"{RICH}/activate-disks"),
    "grow disk": ("POST", f"{RICH}/disk/0/grow", {"amount": 64}),
    "grow disk that is not": ("POST", f"{RICH}/disk/7/grow", {"amount": 64}),
    "grow disk of a word": ("POST", f"{RICH}/disk/first/grow", {"amount": 64}),
    "prepare export without mode": ("PUT", f"{RICH}/prepare-export"),
    "prepare export": ("PUT", f"{RICH}/prepare-export?mode=local"),
    "deactivate disks of one that runs": ("PUT", f"{RICH}/deactivate-disks"),
    "rename one that runs": ("PUT", f"{RICH}/rename", {
        "new_name": "askother.example.com", "name_check": False, "ip_check": False}),
    "multi-alloc of nothing": ("POST", "/2/instances-multi-alloc", {"instances": []}),
    "multi-alloc without instances": ("POST", "/2/instances-multi-alloc", {}),
    "role of the master": ("PUT", f"/2/nodes/{NODE}/role", "drained"),
    "role that is none": ("PUT", f"/2/nodes/{NODE}/role", "captain"),
    "role in an object": ("PUT", f"/2/nodes/{NODE}/role", {"role": "regular"}),
    "evacuate": ("POST", f"/2/nodes/{NODE}/evacuate", {"mode": "primary-only",
                                                       "remote_node": NODE}),
    "migrate node without a body": ("POST", "/2/nodes/nosuch/migrate"),
    "modify storage": ("PUT", f"/2/nodes/{NODE}/storage/modify?storage_type=file&name=x"
                              "&allocatable=1"),
    "modify storage without a name": ("PUT", f"/2/nodes/{NODE}/storage/modify?storage_type=file"),
    "repair storage without a type": ("PUT", f"/2/nodes/{NODE}/storage/repair?name=x"),
    "stop rich": ("PUT", f"{RICH}/shutdown"),
    "rename": ("PUT", f"{RICH}/rename", {"new_name": "askother.example.com", "name_check": False,
                                         "ip_check": False}),
    "remove rich": ("DELETE", "/2/instances/askother.example.com"),
    "remove rich where it has its old name": ("DELETE", RICH),
}
CASES = {name: case for group in (MADE, READ, ASKED, CHANGED)
         for name, case in group.items()}
