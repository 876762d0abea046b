"""Send all requests of ``cases.py`` to one API server, and print the answers as JSON.

    ask.py URL [WORD...] [-NAME...]
        ->  {"case": {"status": ..., "error": ..., "shape": ...}, ...}

With words, only cases whose names contain one of them; without those of ``-NAME``.

    ask.py URL --lines       sends the case named by each line of the input; prints a line
                             with the status; does not wait for jobs

``status`` is HTTP's, or the name of an exception where there was no answer. ``error`` is the error
class and code of the job that the request started, its status if it has no error, null if there was
no job. ``shape`` gives the JSON types of the answer's keys (of the job's result, if there was a
job): {"[].name": ["string"]}. Runs with any Python 3; imports none of our modules.
"""

import base64
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import quote

from basics import LEFTOVERS, MAPS, OPAQUE, PASSWORD, USER
from cases import CASES

ENDED = ("success", "error", "canceled")
TYPES = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "object",
}


class Asker:
    """A client of one server that remembers the objects that later requests name."""

    def __init__(self, url):
        self.url = url
        #: ``{job}`` in a path is the last job, ``{filter}`` the last filter.
        self.known = {"job": "0", "filter": "0"}
        context = ssl._create_unverified_context()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def request(
        self, method, path, body=None, user=USER, password=PASSWORD, kind="application/json"
    ):
        """Return (status, JSON or None)."""
        for name, value in self.known.items():
            path = path.replace("{%s}" % name, value)
        asked = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            asked.data = body if isinstance(body, bytes) else json.dumps(body).encode()
            if kind:
                asked.add_header("Content-Type", kind)
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            asked.add_header("Authorization", f"Basic {token}")
        try:
            with self.opener.open(asked, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as err:
            with err:
                text = err.read()
                try:
                    return err.code, json.loads(text)
                except ValueError:
                    return err.code, None
        except OSError as err:
            return type(err).__name__, None

    def follow(self, job_id):
        """Return a job's (error, result)."""
        self.known["job"] = str(job_id)
        _, job = self.request("GET", f"/2/jobs/{job_id}")
        for _ in range(600):
            if job["status"] in ENDED:
                break
            time.sleep(0.1)
            _, job = self.request("GET", f"/2/jobs/{job_id}")
        for result in job["opresult"]:
            if is_error(result):
                return [result[0], result[1][1] if len(result[1]) > 1 else None], None
        return job["status"], job["opresult"]

    def answer(self, method, path, *rest):
        """Return the recorded form of a case's answer."""
        status, value = self.request(method, path, *rest)
        error = None
        if status == 200 and type(value) is int and path != "/version":
            error, value = self.follow(value)
        elif status == 200 and path.startswith("/2/filters") and isinstance(value, str):
            self.known["filter"] = value
        return {"status": status, "error": error, "shape": shape(value)}

    def tidy(self):
        """Remove objects that cases created and no other names."""
        for entry in self.request("GET", "/2/instances")[1]:
            if entry["id"].startswith(LEFTOVERS):
                self.follow(self.request("DELETE", f"/2/instances/{entry['id']}")[1])
        for tag in self.request("GET", "/2/tags")[1]:
            self.follow(self.request("DELETE", "/2/tags?tag=" + quote(tag, safe=""))[1])


def is_error(result):
    """Return whether a job's result is an error: ``["OpPrereqError", [text, code]]``."""
    if not isinstance(result, list) or len(result) != 2:
        return False
    name, arguments = result
    return isinstance(name, str) and name.endswith("Error") and isinstance(arguments, list)


def by_field(answer):
    """Return a query's answer as if its rows were objects: {field: [status, value]}."""
    names = [field["name"] for field in answer["fields"]]
    return {
        "fields": answer["fields"],
        "data": [
            {name: {str(status): value} for name, (status, value) in zip(names, row)}
            for row in answer["data"]
        ],
    }


def shape(value):
    """Return {path: JSON types}. Keys that are names of objects are all written ``*``."""
    found = {}

    def walk(part, path):
        found.setdefault(path, set()).add(TYPES[type(part)])
        name = path.rpartition(".")[2]
        if name in OPAQUE or path.rpartition(".")[0].rpartition(".")[2] in OPAQUE:
            return
        if isinstance(part, list):
            for item in part:
                walk(item, path + "[]")
        elif isinstance(part, dict):
            for key, item in part.items():
                key = "*" if name in MAPS or key.endswith(".example.com") else key
                walk(item, f"{path}.{key}")

    walk(
        by_field(value) if isinstance(value, dict) and {"fields", "data"} == set(value) else value,
        "",
    )
    return {path: sorted(types) for path, types in sorted(found.items())}


def ask_by_line(asker):
    """Serve ``messages``, which compares what each case led to."""
    for line in sys.stdin:
        status, value = asker.request(*CASES[line.rstrip("\n")])
        if line.startswith("add filter") and status == 200:
            asker.known["filter"] = value
        print(status, flush=True)


def main():
    asker, found = Asker(sys.argv[1]), {}
    if sys.argv[2:] == ["--lines"]:
        ask_by_line(asker)
        return
    words = [word for word in sys.argv[2:] if not word.startswith("-")]
    left_out = {word[1:] for word in sys.argv[2:] if word.startswith("-")}
    for name, case in CASES.items():
        if name not in left_out and (not words or any(word in name for word in words)):
            found[name] = asker.answer(*case)
    asker.tidy()
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
