"""Recorded conversations with a real luxid, held again with our master.

``Replay`` sends what was recorded, in its order, over one connection at a time. What the
master makes up is not the same twice (ids of jobs, uuids): it learns from each pair of
answers what stands for what, and puts ours in the place of theirs from then on. Jobs run to
their end before the next request, but delays of a second or more, which end when the record
says that they have: nothing here takes time.

``differences`` compares the shape of two answers: kinds of values, keys, lengths of tuples,
classes and codes of errors; not the values.
"""

import contextlib
import json
import re
import threading

from ganeti import errors, luxi, opcodes
from support.master import PATIENCE, MasterScene

FINAL = ("success", "error", "canceled")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Jobs that were there before the record begins, there and here.
BEFORE = 11
#: Added to ids that have no meaning here, so that they have none.
ELSEWHERE = 10**6
#: Calls whose first argument is the id of a job.
_ABOUT_A_JOB = ("WaitForJobChange", "CancelJob", "ArchiveJob", "ChangeJobPriority")
_SUBMITS = ("SubmitJob", "SubmitJobToDrainedQueue", "SubmitManyJobs")


# -- the scene ---------------------------------------------------------------------------


class HeldTask:
    """A delay that ends when it is let go. Told to stop, it does so then: Ganeti's go on."""

    def __init__(self, task):
        self._task = task
        self.let_go = threading.Event()

    def __getattr__(self, name):
        return getattr(self._task, name)

    def execute(self, run):
        assert self.let_go.wait(PATIENCE)
        return self._task.execute(run)


class Holding:
    """Carries out what the processor does, and holds long delays."""

    def __init__(self, processor):
        self._processor = processor
        self._held = {}
        self._let_go = set()

    def let_go(self, job_id):
        self._let_go.add(job_id)
        if job_id in self._held:
            self._held[job_id].let_go.set()

    def begin(self, op, job_id, rank):
        if not isinstance(op, opcodes.OpTestDelay) or op.duration < 1:
            return self._processor.begin(op, job_id, rank)
        task = HeldTask(self._processor.begin(op.replace(duration=0.001), job_id, rank))
        self._held[job_id] = task
        if job_id in self._let_go:
            task.let_go.set()
        return task


class Replay:
    """Our side of the conversation."""

    def __init__(self, root, records, **settings):
        self.scene = MasterScene(root, executor=self._hold, **settings)
        self.records = records
        self.running_until = _running_until(records)
        self.jobs = {}  # their ids -> ours
        self.uuids = {}
        self.held = set()  # their ids
        self.refused = set()  # their ids
        self._number = 0
        self._sock = None

    def _hold(self, processor):
        self.executor = Holding(processor)
        return self.executor

    def close(self):
        self._let_go(sorted(self.held))
        self._hang_up()
        self.scene.close()

    def _hang_up(self):
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def exchange(self, message):
        """The answer to a message, and whether the connection was closed after it."""
        if self._sock is None:
            self._sock = self.scene.connect()
        self._sock.settimeout(PATIENCE)
        text = message if isinstance(message, str) else json.dumps(message)
        # The second request tells whether anybody listens after the first.
        probe = luxi.pack({"method": "QueryConfigValues", "args": [[]]})
        with contextlib.suppress(BrokenPipeError):
            self._sock.sendall(text.encode("utf-8", "surrogatepass") + luxi.EOM + probe)
        answers = self._read(2)
        if len(answers) < 2:
            self._hang_up()
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
        """Hold one conversation: where it differs, and our answer; None if it does not.

        What comes of a job that this master refuses, since it does not carry it out, is no
        difference: there is no job.
        """
        number = self._number
        self._number += 1
        self._let_go(sorted(job for job in self.held if self.running_until[job] < number))
        request, theirs = record["request"], record["response"]
        if self._is_of_refused(request):
            self.refused |= _follow_ups(theirs["result"])
            return None
        answer, closed = self.exchange(self._translated(request, theirs))
        if isinstance(request, dict):
            if _is_refusal(answer) and theirs["success"]:
                self._refuse(request, theirs)
                return None
            if request.get("method") in _SUBMITS and theirs["success"] and not answer["success"]:
                self._refuse(request, theirs)
            self._learn(request, theirs, answer)
        found = of_answers(record, answer, closed)
        return (found, answer) if found else None

    def do(self, call):
        """Something that was not recorded."""
        made = self.scene.call(call)
        if isinstance(call, luxi.SubmitJob):
            self.scene.wait(made)

    def _is_of_refused(self, request):
        return isinstance(request, dict) and bool(_mentioned(request) & self.refused)

    def _refuse(self, request, theirs):
        many = request["method"] == "SubmitManyJobs"
        self.refused |= {job for _, job in theirs["result"]} if many else {theirs["result"]}

    def _translated(self, request, theirs):
        if not isinstance(request, dict):
            return request
        text = _UUID.sub(lambda match: self.uuids.get(match[0], match[0]), json.dumps(request))
        request = json.loads(text)
        method, args = request.get("method"), request.get("args")
        if method in _ABOUT_A_JOB and args:
            args[0] = self._job(args[0])
        elif method == "QueryJobs" and isinstance(args[0], list):
            args[0] = [self._job(number) for number in args[0]]
        elif method == "Query" and args[0] == "job":
            args[2] = self._in_filter(args[2])
        elif method in _SUBMITS and args and isinstance(args[0], list):
            jobs = args[0] if method == "SubmitManyJobs" else [args[0]]
            for op in [op for ops in jobs for op in ops if isinstance(op, dict)]:
                for depends in op.get("depends") or ():
                    depends[0] = self._job(depends[0])
        if method == "WaitForJobChange" and len(args) == 5 and _is_number(args[4]):
            answer = theirs["result"] if theirs["success"] else [None]
            if answer[0] == args[2]:
                args[4] = 0  # it waited for nothing
            if isinstance(args[2], list) and args[2][:1] == args[0:1]:
                args[2][0] = args[0]
        return request

    def _job(self, number):
        if isinstance(number, str):
            return str(self._job(int(number))) if number.isdigit() else number
        if not isinstance(number, int) or number in self.jobs or number <= BEFORE:
            return self.jobs.get(number, number)
        return number + ELSEWHERE

    def _in_filter(self, tree):
        if not isinstance(tree, list) or not tree:
            return tree
        if tree[0] in ("==", "=") and tree[1] == "id":
            return [*tree[:2], self._job(tree[2])]
        return [tree[0], *map(self._in_filter, tree[1:])]

    def _let_go(self, jobs):
        for theirs in jobs:
            self.executor.let_go(self.jobs[theirs])
            with contextlib.suppress(errors.JobLost):  # it was canceled, and put away
                self.scene.wait(self.jobs[theirs])
            self.held.remove(theirs)

    # -- what stands for what ---------------------------------------------------------------

    def _learn(self, request, theirs, ours):
        if not (theirs and ours and theirs.get("success") and ours.get("success")):
            return
        method = request["method"]
        if method in _SUBMITS:
            many = method == "SubmitManyJobs"
            pairs = (
                zip(theirs["result"], ours["result"])
                if many
                else [([True, theirs["result"]], [True, ours["result"]])]
            )
            jobs = request["args"][0] if many else request["args"]
            for (their, our), ops in zip(pairs, jobs):
                self._follow(their[1], our[1], ops)
        else:
            self._pair(theirs["result"], ours["result"])

    def _follow(self, theirs, ours, ops):
        self.jobs[theirs] = ours
        if theirs in self.running_until:
            self.held.add(theirs)
            self._begin(ours)
        else:
            self.scene.wait(ours)

    def _begin(self, job_id):
        """Wait until a job runs, or waits for something that does not pass by itself."""
        queue, changed = self.scene.queue, threading.Event()
        # Whoever comes later is asked for later: by then this one waits, or may run.
        self.scene.wait(self.scene.submit(opcodes.OpTestDelay(duration=0.001)))
        unwatch = queue.watch(job_id, changed.set)
        while queue.job(job_id).status != "running" and not self._is_kept(job_id):
            assert changed.wait(PATIENCE), f"job {job_id} does not begin"
            changed.clear()
        unwatch()

    def _is_kept(self, job_id):
        """Does it wait for a rule, for another job, or for what one that is held has?"""
        held = {self.jobs[theirs] for theirs in self.held} - {job_id}
        return any(
            wait["kind"] in ("job", "filter") or held.intersection(wait["jobs"])
            for wait in self.scene.queue.waiting_for(job_id)
        )

    def _pair(self, theirs, ours):
        if isinstance(theirs, str) and isinstance(ours, str):
            if _UUID.fullmatch(theirs) and _UUID.fullmatch(ours):
                self.uuids[theirs] = ours
        elif isinstance(theirs, list) and isinstance(ours, list):
            for pair in zip(theirs, ours):
                self._pair(*pair)
        elif isinstance(theirs, dict) and isinstance(ours, dict):
            if "jobs" in theirs and isinstance(ours.get("jobs"), list):
                for (_, their), (_, our) in zip(theirs["jobs"], ours["jobs"]):
                    self.jobs[their] = our
                    self.scene.wait(our)
            for key in theirs.keys() & ours.keys():
                self._pair(theirs[key], ours[key])


def _is_refusal(answer):
    """Does it say that this master does not carry an opcode out?"""
    return (
        bool(answer)
        and not answer["success"]
        and answer["result"][0] == "OpPrereqError"
        and answer["result"][1][1] == "environment_error"
    )


def _follow_ups(value):
    """Ids of the jobs that a job's result names."""
    if isinstance(value, dict):
        return {job for _, job in value.get("jobs", ())}
    return set().union(*map(_follow_ups, value)) if isinstance(value, list) else set()


def _running_until(records):
    """Their ids -> the last record that shows a delay of a second or more, or what depends
    on one, before its end."""
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
        about = (_mentioned(request) & found.keys()) - ended
        over = about & _final(request, answer["result"])
        ended |= over
        found |= dict.fromkeys(about - over, number)
    return found


def _mentioned(request):
    """Ids of the jobs that a request is about."""
    method, args = request.get("method"), request.get("args")
    ids = args[:1] if method in _ABOUT_A_JOB else args[0] if method == "QueryJobs" else ()
    return {int(number) for number in ids or () if str(number).strip().isdigit()}


def _final(request, result):
    """Ids of the jobs of which an answer says that they have ended."""
    method, args = request["method"], request["args"]
    if method in _ABOUT_A_JOB and (result is True or str(result).endswith("not found in queue']")):
        return _mentioned(request)
    rows = {
        "WaitForJobChange": lambda: [(args[0], result[0])],
        "QueryJobs": lambda: zip(args[0] or (), result),
    }.get(method, list)()
    return {
        int(job) for job, row in rows if any(word in FINAL for word in row if isinstance(word, str))
    }


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# -- shapes --------------------------------------------------------------------------------


def kind(value):
    """What JSON calls it."""
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


def differences(theirs, ours, place=""):
    """Where the shapes of two values differ, and how."""
    if kind(theirs) != kind(ours):
        return {f"{place}: {kind(theirs)}, not {kind(ours)}"}
    if isinstance(theirs, dict):
        return _of_objects(theirs, ours, place)
    if isinstance(theirs, list):
        return _of_lists(theirs, ours, place)
    return set()


def _of_objects(theirs, ours, place):
    theirs, ours = (
        {_UUID.sub("UUID", key): value for key, value in side.items()} for side in (theirs, ours)
    )
    found = {
        f"{place}: only {whose} {key}"
        for whose, one, other in (("theirs", theirs, ours), ("ours", ours, theirs))
        for key in one.keys() - other.keys()
    }
    for key in theirs.keys() & ours.keys():
        found |= differences(theirs[key], ours[key], f"{place}.{key}")
    return found


def _of_lists(theirs, ours, place):
    if len(theirs) == len(ours):
        return set().union(
            *(
                differences(*pair, f"{place}.{number}")
                for number, pair in enumerate(zip(theirs, ours))
            )
        )
    if len({kind(item) for item in theirs + ours}) > 1:
        return {f"{place}: {len(theirs)} items, not {len(ours)}"}
    if not theirs or not ours:
        return set()
    return set().union(*(differences(theirs[0], item, f"{place}.*") for item in ours))


def of_answers(record, answer, closed):
    """Where a recorded answer and ours differ."""
    theirs = record["response"]
    found = set()
    # Who recorded tools saw no end of connections.
    if record["tool"].startswith("direct") and bool(record.get("server_closed")) != closed:
        found.add("hangs up" if closed else "does not hang up")
    if theirs is None or answer is None:
        return found | ({"no answer"} if theirs is not answer else set())
    if theirs["success"] != answer["success"]:
        return found | {"succeeds" if answer["success"] else "fails"}
    if not theirs["success"]:
        return found | _of_errors(theirs["result"], answer["result"])
    return found | differences(theirs["result"], answer["result"])


def _of_errors(theirs, ours):
    theirs, ours = (
        ("text",) if isinstance(error, str) else (error[0], len(error[1]), *error[1][1:])
        for error in (theirs, ours)
    )
    return set() if theirs == ours else {f"error {theirs}, not {ours}"}
