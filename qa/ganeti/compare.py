"""Put the same questions to our daemons and to a real Ganeti 3.0, and compare.

Three servers are asked (``ask.py``): Ganeti's own, ours on our master, and our
front on Ganeti's master. Where ours answers otherwise, ``DIFFERENT`` says so
and why; anything else is a failure.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
NODE = "node1.example.com"

#: What is wrong with a request by itself is said at once, before there is a job.
_AT_ONCE = [400, None]
_NAME = (_AT_ONCE, "no host name; Ganeti's job finds out")
_TAG = (_AT_ONCE, "what is wrong with a tag is known before a job is made")
_NO_TAG = (_AT_ONCE, "no tag is 400, where Ganeti 3.0 makes a job that does nothing")
_UNREAD = (_AT_ONCE, "what is asked for and means nothing is refused; Ganeti drops this body")

#: case -> (our [status, error], why). The second table is for our front on a real master.
DIFFERENT = {
    "get unknown job": ([404, None], "a row of nulls is no job"),
    "a job id that is too long": ([404, None], "a row of nulls is no job"),
    "get tags of unknown instance": ([404, None], "reading an unknown object is 404"),
    "list of tags of an unknown node": ([404, None], "reading an unknown object is 404"),
    "tag with a blank": _TAG,
    "a tag of 129 characters": _TAG,
    "a tag that is not ASCII": _TAG,
    "a tag that is blank": _NO_TAG,
    "no tag": _NO_TAG,
    "no tag to delete": _NO_TAG,
    "start with a list": _UNREAD,
    "start with an odd key": _UNREAD,
    "reinstall with an odd key": _UNREAD,
    "create with an empty name": _NAME,
    "create with a slash in the name": _NAME,
    "create with a blank in the name": _NAME,
    "create with two dots in the name": _NAME,
    "create with a name too long": _NAME,
    "create with a hyphen first": (_AT_ONCE, "no host name (RFC 1123), and an option to programs"),
    "create with a bad size": (_AT_ONCE, "Ganeti's front hands it on and gets no answer"),
    "create with a bad disk mode": (_AT_ONCE, "Ganeti's front hands it on and gets no answer"),
    "create with a negative size": (_AT_ONCE, "a size that is none, like any other"),
    "json that is not UTF-8": (_AT_ONCE, "Ganeti hangs up"),
    "a type with a charset": ([200, "success"], "application/json with a charset is JSON"),
}
DIFFERENT_MASTER = {
    "create with plain on one machine": ([200, ["OpPrereqError", "wrong_input"]],
                                         "Ganeti gives no code"),
    "create with too big a disk": ([200, ["OpPrereqError", "insufficient_resources"]],
                                   "Ganeti finds out when it makes the disk"),
    "a name in capitals": ([200, None], "host names have no case; Ganeti's jobs know it as well"),
    "create without node": ([200, "success"], "hail, on Ganeti, finds no place on one node"),
    "create with a group that is not there": ([200, ["OpPrereqError", "unknown_entity"]],
                                              "Ganeti asks hail, which says what it always says"),
    "create with no vcpus": ([200, ["OpPrereqError", "wrong_input"]],
                             "a guest has a CPU; Ganeti leaves it to the policy"),
    "create with minmem over maxmem": ([200, ["OpPrereqError", "wrong_input"]],
                                       "Ganeti refuses it when an instance is modified"),
}
#: What every page of the API must look like on a real master too.
PAGES = ["/", "/2", "/version", "/2/info", "/2/features", "/2/instances?bulk=1",
         "/2/nodes?bulk=1", f"/2/nodes/{NODE}", "/2/groups?bulk=1", "/2/groups/default",
         "/2/jobs?bulk=1", "/2/os", "/2/tags", f"/2/nodes/{NODE}/tags"]

passed, failed = 0, 0


def check(title, good, detail=""):
    """Count one comparison."""
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {title}: {detail}", flush=True)


def ask(prefix, url, os_name):
    """What one server answers to all cases."""
    done = subprocess.run([*prefix, "/usr/bin/python3", "-B", str(HERE / "ask.py"), url, "admin",
                           "secret", NODE, os_name], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@contextlib.contextmanager
def real_cluster(folder):
    """A real master; yields the command that runs things beside it."""
    script = str(HERE / "real-cluster")
    subprocess.run([script, "up", folder], check=True, stdout=subprocess.DEVNULL)
    try:
        yield [script, "in", folder]
    finally:
        subprocess.run([script, "down", folder], check=False)


@contextlib.contextmanager
def our_cluster(folder):
    """devel/run with two OS definitions; yields the facts of its ready line."""
    command = [sys.executable, str(TOP / "devel/run"), "--state", folder, "--port", "0",
               "--node", NODE, "--password", "secret"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in child.stdout:
            if line.startswith("ready "):
                yield dict(word.split("=", 1) for word in line.split()[1:])
                return
        raise SystemExit("devel/run did not become ready")
    finally:
        child.send_signal(signal.SIGTERM)
        child.stdout.close()
        child.wait(60)


@contextlib.contextmanager
def our_front(folder, luxi_socket):
    """Our front alone, on somebody else's master; yields its URL."""
    root = Path(folder)
    for part in ("var/run/ganeti", "var/log/ganeti", "var/lib/ganeti/rapi"):
        (root / part).mkdir(parents=True)
    (root / "var/lib/ganeti/rapi/users").write_text("admin secret write\n")
    (root / "python").mkdir()
    (root / "python/ganeti").symlink_to(TOP / "lib")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GANETI_ROOTDIR": str(root),
                   "PYTHONPATH": str(root / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "ganeti.server.rapi", "-f", "--no-ssl", "-b", "127.0.0.1",
         "-p", str(port), "--luxi-socket", luxi_socket], env=environment,
        stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/version"):
                break
            assert child.poll() is None, "the front ended"
            time.sleep(0.1)
        yield url
    finally:
        child.terminate()
        child.wait(60)


def compare(title, theirs, ours, *tables):
    """Every case the same, or different as a table says."""
    for case, answer in theirs.items():
        expected = answer
        for table in tables:
            if case in table:
                expected = table[case][0]
        check(f"{title}: {case}", ours[case] == expected,
              f"Ganeti says {answer}, expected {expected}, found {ours[case]}")


def request(url, method="GET", headers=()):
    """(status, headers, JSON) of a request by the user admin."""
    asked = urllib.request.Request(url, method=method, headers={
        "Authorization": "Basic " + base64.b64encode(b"admin:secret").decode(), **dict(headers)})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.headers, json.load(err)


def check_what_is_ours(url):
    """What Ganeti's API has not: on its master the front does it alone, or says that it cannot."""
    _, _, jobs = request(f"{url}/2/jobs?bulk=1")
    good = sorted((job["id"] for job in jobs if job["status"] == "success"), reverse=True)
    _, headers, page = request(f"{url}/2/jobs?status=success&order=desc&limit=3")
    check("a page of jobs", [job["id"] for job in page] == good[:3], page)
    check("how many there are", headers["X-Total-Count"] == str(len(good)), headers.items())
    _, _, rest = request(f"{url}/2/jobs?status=success&order=desc&limit=3&after={good[2]}&bulk=1")
    check("the next page", [job["id"] for job in rest] == good[3:6], rest)
    since = sorted(job["received_ts"] for job in jobs)[-2]
    _, _, late = request(f"{url}/2/jobs?since={since[0]}.{since[1]:06}")
    check("since then", len(late) == sum(job["received_ts"] >= since for job in jobs), late)
    key = [("Idempotency-Key", '"once"')]
    status, headers, job_id = request(f"{url}/2/tags?tag=qa", "PUT", key)
    check("a key that Ganeti does not know",
          (status, headers["Idempotency-Status"]) == (200, "not-honoured"), headers.items())
    _, headers, job = request(f"{url}/2/jobs/{job_id}")
    trail = [entry[1] for entry in job["ops"][0]["reason"]]
    check("who did it", any(text.startswith("user=admin;request=") for text in trail), trail)
    check("why it waits", job["waiting_for"] == [], job)
    check("a key where it means nothing", request(f"{url}/2/info", "GET", key)[0] == 400)
    status, _, table = request(f"{url}/2/query/lock?fields=name,mode,owner,pending")
    check("the table of locks", status == 200 and len(table["fields"]) == 4, table)


def main():
    folder = tempfile.mkdtemp(prefix="qa-ganeti-")
    try:
        with real_cluster(f"{folder}/real") as inside:
            with our_cluster(f"{folder}/ours") as facts, ThreadPoolExecutor() as both:
                asking = both.submit(ask, inside, "https://127.0.0.1:5080", "dummy+default")
                ours = ask([], facts["RAPI_URL"], "noop")
                theirs = asking.result()
            compare("our master", theirs, ours, DIFFERENT, DIFFERENT_MASTER)
            with our_front(f"{folder}/front",
                           f"{folder}/real/run/socket/ganeti-query") as url:
                compare("Ganeti's master", theirs, ask([], url, "dummy+default"), DIFFERENT)
                check_what_is_ours(url)
                for page in PAGES:
                    with urllib.request.urlopen(url + page, timeout=60) as answer:
                        value = json.load(answer)
                        check(f"page {page}", answer.status == 200 and value is not None, value)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
