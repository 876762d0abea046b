"""Ask one API server many wrong things, and print what it says, as JSON.

    ask.py URL USER PASSWORD NODE OS     ->  {"case": [status, error], ...}

``error`` is the error class and code of the job that the request started, if it
started one, else null. Runs with any Python 3; needs nothing of ours.
"""

import base64
import itertools
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

NUMBER = itertools.count(1)
URL, USER, PASSWORD, NODE, OS = sys.argv[1:6]
CREATE = {"__version__": 1, "mode": "create", "name": "ask.example.com", "os_type": OS,
          "disk_template": "diskless", "disks": [], "nics": [], "pnode": NODE,
          "name_check": False, "ip_check": False, "start": False, "ignore_ipolicy": True}


def request(method, path, body=None, user=USER, password=PASSWORD, kind="application/json"):
    asked = urllib.request.Request(URL + path, method=method)
    if body is not None:
        asked.data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if kind:
            asked.add_header("Content-Type", kind)
    if user:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        asked.add_header("Authorization", f"Basic {token}")
    context = ssl._create_unverified_context()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                         urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as err:
        with err:
            text = err.read()
            try:
                return err.code, json.loads(text)
            except ValueError:
                return err.code, None
    except OSError as err:
        return str(type(err).__name__), None


def follow(job_id):
    """The error of a job: class and code, or its status when it has none."""
    for _ in range(600):
        _, job = request("GET", f"/2/jobs/{job_id}")
        if job["status"] in ("success", "error", "canceled"):
            break
        time.sleep(0.05)
    for result in job["opresult"]:
        if isinstance(result, list) and len(result) == 2 and isinstance(result[0], str):
            code = result[1][1] if len(result[1]) > 1 else None
            return [result[0], code]
    return job["status"]


def create(**change):
    body = {**CREATE, **change}
    return "POST", "/2/instances", {key: value for key, value in body.items()
                                    if value != "absent"}


def other(**change):
    """A creation of something that nobody else creates; gone when all is over."""
    return create(name=f"other{next(NUMBER)}.example.com", **change)


DISK = {"disk_template": "file", "disks": [{"size": 16}]}
CASES = {
    "get unknown path": ("GET", "/2/nosuch"),
    "get unknown instance": ("GET", "/2/instances/nosuch"),
    "get unknown node": ("GET", "/2/nodes/nosuch"),
    "get unknown group": ("GET", "/2/groups/nosuch"),
    "get unknown job": ("GET", "/2/jobs/999999999"),
    "get job that is no number": ("GET", "/2/jobs/abc"),
    "get tags of unknown instance": ("GET", "/2/instances/nosuch/tags"),
    "cancel unknown job": ("DELETE", "/2/jobs/999999999"),
    "wrong method": ("POST", "/version"),
    "wrong method on a job": ("PUT", "/2/jobs/1"),
    "bad flag": ("GET", "/2/instances?bulk=maybe"),
    "write without password": ("PUT", "/2/tags?tag=x", None, None),
    "write with wrong password": ("PUT", "/2/tags?tag=x", None, USER, "wrong"),
    "read with wrong password": ("GET", "/2/info", None, USER, "wrong"),
    "bad json": ("POST", "/2/instances", b"{nonsense"),
    "body that is no object": ("POST", "/2/instances", [1]),
    "other media type": ("POST", "/2/instances", b"a=b", USER, PASSWORD, "text/plain"),
    "create with a key too many": create(bogus=1),
    "create with a wrong type": create(disks="big"),
    "create without name": create(name="absent"),
    "create without mode": create(mode="absent"),
    "create without disks": create(disks="absent"),
    "create of a wrong mode": create(mode="nosuch"),
    "create with version 7": create(__version__=7),
    "create with unknown nic key": create(nics=[{"speed": 1}]),
    "tag with a blank": ("PUT", "/2/tags?tag=a%20b"),
    "delete of an unknown tag": ("DELETE", "/2/tags?tag=nosuch"),
    "unknown reboot type": ("POST", "/2/instances/nosuch/reboot?type=odd"),
    "start unknown instance": ("PUT", "/2/instances/nosuch/startup"),
    "stop unknown instance": ("PUT", "/2/instances/nosuch/shutdown"),
    "reboot unknown instance": ("POST", "/2/instances/nosuch/reboot"),
    "remove unknown instance": ("DELETE", "/2/instances/nosuch"),
    "reinstall unknown instance": ("POST", "/2/instances/nosuch/reinstall"),
    "tag unknown instance": ("PUT", "/2/instances/nosuch/tags?tag=x"),
    "tag unknown node": ("PUT", "/2/nodes/nosuch/tags?tag=x"),
    "reinstall by query and body": ("POST", "/2/instances/nosuch/reinstall?os=x", {"os": "y"}),
    "create on unknown node": create(pnode="nosuch.example.com"),
    "create with unknown os": create(os_type="nosuch", **DISK),
    "create with unknown template": create(disk_template="nosuch"),
    "create with plain on one machine": create(disk_template="plain", disks=[{"size": 16}]),
    "create with a bad size": create(disk_template="file", disks=[{"size": "big"}]),
    "create with a disk without size": create(disk_template="file", disks=[{}]),
    "create with too many disks": create(disk_template="file", disks=[{"size": 1024}] * 17,
                                         ignore_ipolicy=False),
    "create with too many nics": create(nics=[{}] * 9, ignore_ipolicy=False),
    "create with a bad mac": create(nics=[{"mac": "zz"}]),
    "create with a bad ip": create(nics=[{"ip": "300.1.1.1"}]),
    "create with bad memory": create(beparams={"memory": "lots"}),
    "create with unknown beparam": create(beparams={"nosuch": 1}),
    "create with unknown hvparam": create(hvparams={"nosuch": 1}),
    "create with a hypervisor that is off": create(hypervisor="xen-pvm"),
    "create with too much memory": create(start=True, beparams={"memory": 30000000}),
    "create with too big a disk": create(disk_template="file", disks=[{"size": 10 ** 12}],
                                         ignore_ipolicy=True),
    "create outside the policy": create(beparams={"memory": 100000}, ignore_ipolicy=False),
    "create with node and allocator": create(iallocator="hail"),
    "create with ip_check alone": create(ip_check=True),
    "create": create(),
    "create again": create(),
    "dry-run of a creation": ("POST", "/2/instances?dry-run=1",
                              {**CREATE, "name": "dry.example.com"}),
    "dry-run left nothing": ("GET", "/2/instances/dry.example.com"),
    "reboot of a stopped instance": ("POST", "/2/instances/ask.example.com/reboot"),
    "stop it": ("PUT", "/2/instances/ask.example.com/shutdown"),
    "start it": ("PUT", "/2/instances/ask.example.com/startup"),
    "start it again": ("PUT", "/2/instances/ask.example.com/startup"),
    "reinstall while running": ("POST", "/2/instances/ask.example.com/reinstall",
                                {"os": OS, "start": True}),
    "stop for good": ("PUT", "/2/instances/ask.example.com/shutdown"),
    "stop again": ("PUT", "/2/instances/ask.example.com/shutdown"),
    "reinstall with unknown os": ("POST", "/2/instances/ask.example.com/reinstall",
                                  {"os": "nosuch"}),
    # -- the forms that a request can have --
    "tag it": ("PUT", "/2/instances/ask.example.com/tags?tag=b&tag=a&tag=b"),
    "its tags": ("GET", "/2/instances/ask.example.com/tags"),
    "untag it": ("DELETE", "/2/instances/ask.example.com/tags?tag=a"),
    "untag it again": ("DELETE", "/2/instances/ask.example.com/tags?tag=a"),
    "a tag of 128 characters": ("PUT", f"/2/tags?tag={'x' * 128}"),
    "a tag of 129 characters": ("PUT", f"/2/tags?tag={'x' * 129}"),
    "a tag of odd characters": ("PUT", "/2/tags?tag=.%2B%2A/:@-_"),
    "a tag that is not ASCII": ("PUT", "/2/tags?tag=%C3%A4"),
    "a tag that is blank": ("PUT", "/2/tags?tag="),
    "no tag": ("PUT", "/2/tags"),
    "no tag to delete": ("DELETE", "/2/tags"),
    "dry-run of a tag": ("PUT", "/2/tags?tag=dry&dry-run=1"),
    "tags of the cluster": ("GET", "/2/tags"),
    "start with a null body": ("PUT", "/2/instances/ask.example.com/startup", b"null"),
    "start with an empty body": ("PUT", "/2/instances/ask.example.com/startup", b""),
    "start with an empty object": ("PUT", "/2/instances/ask.example.com/startup", {}),
    "start with a list": ("PUT", "/2/instances/ask.example.com/startup", [1]),
    "start with an odd key": ("PUT", "/2/instances/ask.example.com/startup", {"bogus": 1}),
    "start with a bad flag": ("PUT", "/2/instances/ask.example.com/startup?force=often"),
    "stop with a list": ("PUT", "/2/instances/ask.example.com/shutdown", [1]),
    "stop with an odd key": ("PUT", "/2/instances/ask.example.com/shutdown", {"bogus": 1}),
    "stop with a null body": ("PUT", "/2/instances/ask.example.com/shutdown", b"null"),
    "stop at once": ("PUT", "/2/instances/ask.example.com/shutdown", {"timeout": 0}),
    "stop before the beginning": ("PUT", "/2/instances/ask.example.com/shutdown",
                                  {"timeout": -1}),
    "stop at a word": ("PUT", "/2/instances/ask.example.com/shutdown", {"timeout": "soon"}),
    "stop by the body's name": ("PUT", "/2/instances/ask.example.com/shutdown",
                                {"instance_name": "x"}),
    "stop with no_remember in the body": ("PUT", "/2/instances/ask.example.com/shutdown",
                                          {"no_remember": True}),
    "stop with dry_run in the body": ("PUT", "/2/instances/ask.example.com/shutdown",
                                      {"dry_run": True}),
    "stop with a reason in the body": ("PUT", "/2/instances/ask.example.com/shutdown",
                                       {"reason": []}),
    "reboot with an odd key": ("POST", "/2/instances/ask.example.com/reboot", {"bogus": 1}),
    "reboot with a bad flag": (
        "POST", "/2/instances/ask.example.com/reboot?ignore_secondaries=no+way"),
    "reinstall with an odd start": ("POST", "/2/instances/ask.example.com/reinstall",
                                    {"os": OS, "start": "maybe"}),
    "reinstall with a list": ("POST", "/2/instances/ask.example.com/reinstall", [1]),
    "reinstall with an odd key": ("POST", "/2/instances/ask.example.com/reinstall",
                                  {"bogus": 1, "start": False}),
    "reinstall by words": ("POST", "/2/instances/ask.example.com/reinstall?nostartup=1&os="
                           + OS.replace("+", "%2B")),
    "reinstall with a null body": ("POST", "/2/instances/ask.example.com/reinstall", b"null"),
    "remove with an odd key": ("DELETE", "/2/instances/ask.example.com", {"bogus": 1}),
    "remove with ignore_failures": ("DELETE", "/2/instances/ask.example.com",
                                    {"ignore_failures": True}),
    "dry-run of a removal": ("DELETE", "/2/instances/ask.example.com?dry-run=1"),
    "a short name": ("GET", "/2/instances/ask"),
    "a name in capitals": ("GET", "/2/instances/ASK.example.com"),
    "create with a null body": ("POST", "/2/instances", b"null"),
    "create with an empty body": ("POST", "/2/instances", b""),
    "create with an empty object": ("POST", "/2/instances", {"__version__": 1}),
    "create without disk template": other(disk_template="absent", disks=[{"size": 1024}]),
    "create without nics": create(nics="absent"),
    "create without os": other(os_type="absent", **DISK),
    "create without node": other(pnode="absent"),
    "create with both names": create(instance_name="x"),
    "create with both os": create(os=OS),
    "create with nulls": other(snode=None, iallocator=None, group_name=None, no_install=None,
                               file_driver=None),
    "create with a name that is a number": create(name=5),
    "create with an empty name": create(name=""),
    "create with a slash in the name": create(name="a/b"),
    "create with a blank in the name": create(name="a b"),
    "create with two dots in the name": create(name="a..b"),
    "create with a hyphen first": create(name="-a.example.com"),
    "create with a name too long": create(name="x" * 300),
    "create in capitals what there is": create(name="ASK.example.com"),
    "create with an unknown priority": create(priority=3),
    "create with a priority in words": create(priority="high"),
    "create with depends in words": create(depends="all"),
    "create with depends on an unknown job": create(depends=[[999999999, ["success"]]]),
    "create with depends on an unknown status": create(depends=[[1, ["done"]]]),
    "create with a comment that is a number": create(comment=5),
    "create with tags in words": create(tags="a"),
    "create with a bad tag": other(tags=["a b"]),
    "create with start in words": create(start="yes"),
    "create with osparams in a list": create(osparams=[]),
    "create with an unknown osparam": other(osparams={"nosuch": "1"}, **DISK),
    "create with a bad disk mode": create(disk_template="file",
                                          disks=[{"size": 1024, "mode": "x"}]),
    "create with a negative size": create(disk_template="file", disks=[{"size": -1}]),
    "create with a size of nothing": create(disk_template="file", disks=[{"size": 0}]),
    "create with a bad file driver": create(file_driver="nosuch"),
    "create with a path as file_storage_dir": other(file_storage_dir="/etc", **DISK),
    "create with a path that leads out": other(file_storage_dir="../..", **DISK),
    "create with a nic mode": other(nics=[{"mode": "nosuch"}]),
    "create with a nic in words": create(nics=["auto"]),
    "create with an unknown network": other(nics=[{"network": "nosuch", "ip": "pool"}]),
    "create with ip auto": other(nics=[{"ip": "auto"}]),
    "create on a short node name": other(pnode=NODE.split(".")[0]),
    "create with vcpus in words": other(beparams={"vcpus": "two"}),
    "create with no vcpus": other(beparams={"vcpus": 0}),
    "create with minmem over maxmem": other(beparams={"minmem": 512, "maxmem": 256}),
    "create with auto_balance in words": other(beparams={"auto_balance": "maybe"}),
    "create with an unknown hypervisor": create(hypervisor="nosuch"),
    "create with an unknown allocator": other(pnode="absent", iallocator="nosuch"),
    "create as import": other(mode="import"),
    "create with snode and no mirror": other(snode=NODE),
    "create with a group that is not there": other(group_name="nosuch", pnode="absent"),
    # -- paths and words --
    "a slash at the end": ("GET", "/2/instances/"),
    "two slashes": ("GET", "//2/instances"),
    "a name with a blank": ("GET", "/2/instances/a%20b"),
    "a job id that is too long": ("GET", "/2/jobs/" + "9" * 15),
    "a flag that is negative": ("GET", "/2/instances?bulk=-1"),
    "a flag that is blank": ("GET", "/2/instances?bulk="),
    "a flag of another resource": ("GET", "/2/nodes?static=x"),
    "a method that nobody knows": ("BREW", "/2/info"),
    "patch": ("PATCH", "/2/instances/ask.example.com"),
    "list of tags of an unknown node": ("GET", "/2/nodes/nosuch/tags"),
    "a user without a password": ("GET", "/2/info", None, USER, ""),
    "a user that nobody knows": ("PUT", "/2/tags?tag=x", None, "nosuch", "x"),
    "json twice": ("POST", "/2/instances", b"{} {}"),
    "json that is not UTF-8": ("POST", "/2/instances", b'{"name": "\xff"}'),
    "a body of a form's type": ("PUT", "/2/instances/ask.example.com/startup", b"{}", USER,
                                PASSWORD, None),
    "a type with a charset": ("PUT", "/2/instances/ask.example.com/startup", b"{}", USER,
                              PASSWORD, "application/json; charset=utf-8"),
    "remove it": ("DELETE", "/2/instances/ask.example.com"),
    "remove it again": ("DELETE", "/2/instances/ask.example.com"),
}


def main():
    found = {}
    for name, case in CASES.items():
        status, answer = request(*case)
        error = None
        if status == 200 and case[0] != "GET" and isinstance(answer, int):
            error = follow(answer)
        found[name] = [status, error]
    for entry in request("GET", "/2/instances")[1]:
        if entry["id"].startswith(("other", "-")):
            follow(request("DELETE", f"/2/instances/{entry['id']}")[1])
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
