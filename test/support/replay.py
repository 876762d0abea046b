"""Replay conversations recorded from a real luxid against our master.

``Replay`` sends the recorded requests in their order, over one connection at a time. Job ids and
UUIDs differ from run to run: ``Replay`` learns from each pair of answers which of ours
corresponds to which of theirs, and translates later requests. Every job runs to its end before
the next request. The exceptions are delays of a second or more: they are held, and released once
the recording shows that they have ended, so that the replay never sleeps.

``differences`` compares the shape of two answers: types of values, keys, lengths of tuples,
classes and codes of errors; not the values.
"""

import contextlib
import json
import re
import threading

from ganeti import errors, luxi, opcodes
from support.master import PATIENCE, MasterScene

FINAL_STATUSES = ("success", "error", "canceled")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Number of jobs that exist, there and here, when the recording begins.
EARLIER_JOBS = 11
#: Added to ids of jobs that do not exist here, so that they never are ids of ours.
_UNKNOWN_JOB = 10**6
#: Calls whose first argument is the id of a job.
_ABOUT_A_JOB = ("WaitForJobChange", "CancelJob", "ArchiveJob", "ChangeJobPriority")
_SUBMITS = ("SubmitJob", "SubmitJobToDrainedQueue", "SubmitManyJobs")


# -- our side ------------------------------------------------------------------------


class HeldTask:
    """A delay that ends when it is released, also if it was canceled: Ganeti's do not stop."""

    def __init__(self, task):
        self._task = task
        self.released = threading.Event()

    def __getattr__(self, name):
        return getattr(self._task, name)

    def execute(self, run):
        assert self.released.wait(PATIENCE)
        return self._task.execute(run)


class HoldingExecutor:
    """Execute what the processor does, but hold delays of a second or more."""

    def __init__(self, processor):
        self._processor = processor
        self._held = {}
        self._released = set()

    def release(self, job_id):
        """Let the job's delay end, now or as soon as it begins."""
        self._released.add(job_id)
        if job_id in self._held:
            self._held[job_id].released.set()

    def begin(self, op, job_id, rank):
        if not isinstance(op, opcodes.OpTestDelay) or op.duration < 1:
            return self._processor.begin(op, job_id, rank)
        task = HeldTask(self._processor.begin(op.replace(duration=0.001), job_id, rank))
        self._held[job_id] = task
        if job_id in self._released:
            task.released.set()
        return task


class Replay:
    """Send recorded requests to our master, and compare its answers with the recorded ones."""

    def __init__(self, root, records, **settings):
        self.scene = MasterScene(root, executor=self._make_executor, **settings)
        self.records = records
        self.running_until = _running_until(records)
        self.jobs = {}  # their ids -> ours
        self.uuids = {}
        self.held = set()  # their ids
        self.refused = set()  # their ids
        self._number = 0
        self._sock = None

    def _make_executor(self, processor):
        self.executor = HoldingExecutor(processor)
        return self.executor

    def close(self):
        self._release(sorted(self.held))
        self._disconnect()
        self.scene.close()

    def _disconnect(self):
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def send_message(self, message):
        """Send a message; return the answer, and whether the connection was closed after it."""
        if self._sock is None:
            self._sock = self.scene.connect()
        self._sock.settimeout(PATIENCE)
        text = message if isinstance(message, str) else json.dumps(message)
        # A second request shows whether the connection is still open after the first.
        probe = luxi.pack({"method": "QueryConfigValues", "args": [[]]})
        with contextlib.suppress(BrokenPipeError):
            self._sock.sendall(text.encode("utf-8", "surrogatepass") + luxi.EOM + probe)
        answers = self._read(2)
        if len(answers) < 2:
            self._disconnect()
        return (answers[0] if answers else None), len(answers) < 2

    def _read(self, count):
        splitter, found = luxi.Splitter(), []
        while len(found) < count:
            try:
                data = self._sock.recv(1 << 16)
            except ConnectionResetError:
                break
            if not data:
                break
            found += [json.loads(message) for message in splitter.feed(data)]
        return found

    # -- one step --------------------------------------------------------------------------

    def step(self, record):
        """Replay one record; return (differences, our answer), or None if there are none.

        Jobs that our master refuses because it does not implement them do not exist here: what
        is asked about them is skipped.
        """
        number = self._number
        self._number += 1
        self._release(sorted(job for job in self.held if self.running_until[job] < number))
        request, theirs = record["request"], record["response"]
        if self._is_about_refused(request):
            self.refused |= _follow_up_ids(theirs["result"])
            return None
        answer, closed = self.send_message(self._translate(request, theirs))
        if isinstance(request, dict):
            if _is_not_implemented(answer) and theirs["success"]:
                self._note_refused(request, theirs)
                return None
            if request.get("method") in _SUBMITS and theirs["success"] and not answer["success"]:
                self._note_refused(request, theirs)
            self._learn_ids(request, theirs, answer)
        found = answer_differences(record, answer, closed)
        return (found, answer) if found else None

    def call(self, call):
        """Make a call that was not recorded; wait until the job that it submits has ended."""
        result = self.scene.call(call)
        if isinstance(call, luxi.SubmitJob):
            self.scene.wait(result)

    def _is_about_refused(self, request):
        return isinstance(request, dict) and bool(_job_ids(request) & self.refused)

    def _note_refused(self, request, theirs):
        many = request["method"] == "SubmitManyJobs"
        self.refused |= {job for _, job in theirs["result"]} if many else {theirs["result"]}

    def _translate(self, request, theirs):
        if not isinstance(request, dict):
            return request
        text = _UUID.sub(lambda match: self.uuids.get(match[0], match[0]), json.dumps(request))
        request = json.loads(text)
        method, args = request.get("method"), request.get("args")
        if method in _ABOUT_A_JOB and args:
            args[0] = self._our_job_id(args[0])
        elif method == "QueryJobs" and isinstance(args[0], list):
            args[0] = [self._our_job_id(number) for number in args[0]]
        elif method == "Query" and args[0] == "job":
            args[2] = self._translate_filter(args[2])
        elif method in _SUBMITS and args and isinstance(args[0], list):
            jobs = args[0] if method == "SubmitManyJobs" else [args[0]]
            for op in [op for ops in jobs for op in ops if isinstance(op, dict)]:
                for depends in op.get("depends") or ():
                    depends[0] = self._our_job_id(depends[0])
        if method == "WaitForJobChange" and len(args) == 5 and _is_number(args[4]):
            answer = theirs["result"] if theirs["success"] else [None]
            if answer[0] == args[2]:
                args[4] = 0  # it waited for nothing
            if isinstance(args[2], list) and args[2][:1] == args[0:1]:
                args[2][0] = args[0]
        return request

    def _our_job_id(self, number):
        if isinstance(number, str):
            return str(self._our_job_id(int(number))) if number.isdigit() else number
        if not isinstance(number, int) or number in self.jobs or number <= EARLIER_JOBS:
            return self.jobs.get(number, number)
        return number + _UNKNOWN_JOB

    def _translate_filter(self, tree):
        if not isinstance(tree, list) or not tree:
            return tree
        if tree[0] in ("==", "=") and tree[1] == "id":
            return [*tree[:2], self._our_job_id(tree[2])]
        return [tree[0], *map(self._translate_filter, tree[1:])]

    def _release(self, jobs):
        for theirs in jobs:
            self.executor.release(self.jobs[theirs])
            with contextlib.suppress(errors.JobLost):  # it was canceled and archived
                self.scene.wait(self.jobs[theirs])
            self.held.remove(theirs)

    # -- their ids and ours -----------------------------------------------------------------

    def _learn_ids(self, request, theirs, ours):
        if not (theirs and ours and theirs.get("success") and ours.get("success")):
            return
        method = request["method"]
        if method in _SUBMITS:
            if method == "SubmitManyJobs":
                for (_, their), (_, our) in zip(theirs["result"], ours["result"]):
                    self._track_job(their, our)
            else:
                self._track_job(theirs["result"], ours["result"])
        else:
            self._match_ids(theirs["result"], ours["result"])

    def _track_job(self, theirs, ours):
        self.jobs[theirs] = ours
        if theirs in self.running_until:
            self.held.add(theirs)
            self._wait_until_begun(ours)
        else:
            self.scene.wait(ours)

    def _wait_until_begun(self, job_id):
        """Wait until a job runs, or is blocked by something that does not end by itself."""
        queue, changed = self.scene.queue, threading.Event()
        # Once a job that was submitted later has run, the scheduler has looked at this one.
        self.scene.wait(self.scene.submit(opcodes.OpTestDelay(duration=0.001)))
        unwatch = queue.watch(job_id, changed.set)
        while queue.job(job_id).status != "running" and not self._is_blocked(job_id):
            assert changed.wait(PATIENCE), f"job {job_id} does not begin"
            changed.clear()
        unwatch()

    def _is_blocked(self, job_id):
        """Return whether the job waits for a job filter, a dependency, or a held job's locks."""
        held = {self.jobs[theirs] for theirs in self.held} - {job_id}
        return any(
            wait["kind"] in ("job", "filter") or held.intersection(wait["jobs"])
            for wait in self.scene.queue.waiting_for(job_id)
        )

    def _match_ids(self, theirs, ours):
        if isinstance(theirs, str) and isinstance(ours, str):
            if _UUID.fullmatch(theirs) and _UUID.fullmatch(ours):
                self.uuids[theirs] = ours
        elif isinstance(theirs, list) and isinstance(ours, list):
            for pair in zip(theirs, ours):
                self._match_ids(*pair)
        elif isinstance(theirs, dict) and isinstance(ours, dict):
            if "jobs" in theirs and isinstance(ours.get("jobs"), list):
                for (_, their), (_, our) in zip(theirs["jobs"], ours["jobs"]):
                    self.jobs[their] = our
                    self.scene.wait(our)
            for key in theirs.keys() & ours.keys():
                self._match_ids(theirs[key], ours[key])


def _is_not_implemented(answer):
    """Return whether the answer says that this master does not implement an opcode."""
    return (
        bool(answer)
        and not answer["success"]
        and answer["result"][0] == "OpPrereqError"
        and answer["result"][1][1] == "environment_error"
    )


def _follow_up_ids(value):
    """Return the ids of the jobs that a job's result names."""
    if isinstance(value, dict):
        return {job for _, job in value.get("jobs", ())}
    return set().union(*map(_follow_up_ids, value)) if isinstance(value, list) else set()


def _running_until(records):
    """Return {their id: number of the last record that shows the job before its end}.

    Only of delays of a second or more, and of jobs that depend on one.
    """
    found, ended = {}, set()
    for number, record in enumerate(records):
        request, answer = record["request"], record["response"]
        if not (isinstance(request, dict) and answer and answer["success"]):
            continue
        if request["method"] == "SubmitJob":
            if any(
                op.get("duration", 0) >= 1
                or any(job in found for job, _ in op.get("depends") or ())
                for op in request["args"][0]
            ):
                found[answer["result"]] = number
        about = (_job_ids(request) & found.keys()) - ended
        over = about & _ended_job_ids(request, answer["result"])
        ended |= over
        found |= dict.fromkeys(about - over, number)
    return found


def _job_ids(request):
    """Return the ids of the jobs that a request is about."""
    method, args = request.get("method"), request.get("args")
    ids = ()
    if method in _ABOUT_A_JOB:
        ids = args[:1]
    elif method == "QueryJobs":
        ids = args[0] or ()
    return {int(number) for number in ids if str(number).strip().isdigit()}


def _ended_job_ids(request, result):
    """Return the ids of the jobs that have ended according to an answer."""
    method, args = request["method"], request["args"]
    if method in _ABOUT_A_JOB and (result is True or str(result).endswith("not found in queue']")):
        return _job_ids(request)
    rows = {
        "WaitForJobChange": lambda: [(args[0], result[0])],
        "QueryJobs": lambda: zip(args[0] or (), result),
    }.get(method, list)()
    return {
        int(job)
        for job, row in rows
        if any(word in FINAL_STATUSES for word in row if isinstance(word, str))
    }


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# -- shapes --------------------------------------------------------------------------------


def json_type(value):
    """Return JSON's name for the type of a value."""
    names = {
        type(None): "null",
        bool: "bool",
        int: "number",
        float: "number",
        str: "string",
        list: "list",
        dict: "object",
    }
    return names[type(value)]


def differences(theirs, ours, path=""):
    """Return where the shapes of two values differ, and how."""
    if json_type(theirs) != json_type(ours):
        return {f"{path}: {json_type(theirs)}, not {json_type(ours)}"}
    if isinstance(theirs, dict):
        return _object_differences(theirs, ours, path)
    if isinstance(theirs, list):
        return _list_differences(theirs, ours, path)
    return set()


def _object_differences(theirs, ours, path):
    theirs, ours = (
        {_UUID.sub("UUID", key): value for key, value in side.items()} for side in (theirs, ours)
    )
    found = {
        f"{path}: only {whose} {key}"
        for whose, one, other in (("theirs", theirs, ours), ("ours", ours, theirs))
        for key in one.keys() - other.keys()
    }
    for key in theirs.keys() & ours.keys():
        found |= differences(theirs[key], ours[key], f"{path}.{key}")
    return found


def _list_differences(theirs, ours, path):
    if len(theirs) == len(ours):
        return set().union(
            *(
                differences(*pair, f"{path}.{number}")
                for number, pair in enumerate(zip(theirs, ours))
            )
        )
    if len({json_type(item) for item in theirs + ours}) > 1:
        return {f"{path}: {len(theirs)} items, not {len(ours)}"}
    if not theirs or not ours:
        return set()
    return set().union(*(differences(theirs[0], item, f"{path}.*") for item in ours))


def answer_differences(record, answer, closed):
    """Return where a recorded answer and ours differ."""
    theirs = record["response"]
    found = set()
    # The recorder that sat between tools and luxid did not see connections end.
    if record["tool"].startswith("direct") and bool(record.get("server_closed")) != closed:
        found.add("hangs up" if closed else "does not hang up")
    if theirs is None or answer is None:
        return found | ({"no answer"} if theirs is not answer else set())
    if theirs["success"] != answer["success"]:
        return found | {"succeeds" if answer["success"] else "fails"}
    if not theirs["success"]:
        return found | _error_differences(theirs["result"], answer["result"])
    return found | differences(theirs["result"], answer["result"])


def _error_differences(theirs, ours):
    theirs, ours = (
        ("text",) if isinstance(error, str) else (error[0], len(error[1]), *error[1][1:])
        for error in (theirs, ours)
    )
    return set() if theirs == ours else {f"error {theirs}, not {ours}"}
