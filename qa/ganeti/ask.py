"""Ask one API server many wrong things, and print what it says, as JSON.

    ask.py URL USER PASSWORD NODE OS     ->  {"case": [status, error], ...}

``error`` is the error class and code of the job that the request started, if it
started one, else null. Runs with any Python 3; needs nothing of ours.
"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request

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
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
