"""Random histories of a job queue, compared step by step with a model of it, for Hypothesis.

Clients submit and archive jobs, cancel them and change their priority; work ends; time passes, and
the wall clock jumps; the master is stopped, or killed in the middle of all that. A client that
got no answer from a killed master sends its request again with the same key.
"""

import contextlib
import itertools
import os
import shutil
import tempfile

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ganeti import errors, opcodes
from ganeti.db.store import Store
from ganeti.luxi import RequestContext
from support.life import PATIENCE, MasterLife
from support.promises import Promise, QueueModel, Step

picks = st.integers(0, 99)
steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["ok", "ok", "ok", "fail", "safe", "stubborn"]),
        st.sampled_from(["a", "a", "b", "ab", "", ""]),
    ),
    min_size=1,
    max_size=2,
)
#: (distance to an earlier id, statuses); 0 is the job itself, for which it cannot wait.
depends = st.one_of(
    st.just([]),
    st.just([]),
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3, 5, 8, 0]),
            st.sampled_from([(), (), ("success",), ("error", "canceled")]),
        ),
        min_size=1,
        max_size=2,
    ),
)
jobs = st.tuples(steps, depends, st.sampled_from([0, 0, -10, 10]))
#: Actions of clients at the moment when the master is killed.
actions = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), jobs),
        st.tuples(st.just("cancel"), picks),
        st.tuples(st.just("archive"), picks),
        st.tuples(st.just("unblock"), picks),
    ),
    max_size=4,
)


def fast_folder():
    """Return a folder for databases, in memory if possible: no power failure happens here."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class QueueMachine(RuleBasedStateMachine):
    """Leads a queue and its model through the same history."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="ganeti-queue-", dir=fast_folder())
        self.paths = (f"{self.folder}/{number}.db" for number in itertools.count())
        self.marks = itertools.count(1)
        self.wall, self.mono = 1_600_000_000.0, 5000.0
        self.model = QueueModel()
        self.keys = []  # (context, job id)
        self.whole = False  # whether the last step was completed
        self.steps = 0
        path = next(self.paths)
        Store.create(path).close()
        self.begin_life(path)
        with self.step():
            pass

    def begin_life(self, path):
        self.since = self.mono
        self.life = MasterLife(path, lambda: self.wall, lambda: self.mono)

    @contextlib.contextmanager
    def step(self):
        """Run the body; once the queue is idle, compare it with the model."""
        self.whole = False
        self.steps += 1
        yield
        self.model.compare(self.life.wait_until_idle(), self.mono)
        self.replay_events(self.life)
        self.model.check_ends()
        self.model.note_waiting(self.life.waiting(), self.life.lock_owners())
        self.whole = True

    def replay_events(self, life, in_order=True):
        """Tell the model which work began and ended."""
        for what, number, detail in life.take_events():
            if what == "begins":
                self.model.begins(number, detail, in_order)
            else:
                self.model.ends(number, detail)

    # -- clients -----------------------------------------------------------------------

    def pick(self, number):
        """Return a job id: mostly of an unfinished job, sometimes of no job."""
        live = self.model.live()
        if live and number < 80:
            return live[number % len(live)]
        return number % (len(self.model.jobs) + 2)

    def plan(self, number, job):
        """Return the promise of job ``number``, and its opcodes."""
        its_steps, its_depends, priority = job
        promise = Promise(
            next(self.marks),
            tuple(its_steps),
            tuple((max(0, number - back), wanted) for back, wanted in its_depends),
            priority,
            self.mono,
        )
        wire = [
            [-back if 0 < back < number else max(0, number - back), list(wanted)]
            for back, wanted in its_depends
        ]
        return promise, [
            opcodes.OpTestDelay(
                duration=1.0,
                comment=comment,
                priority=priority,
                depends=wire if wire and not index else None,
            )
            for index, comment in enumerate(promise.comments)
        ]

    def context(self, promise):
        return RequestContext(
            user="admin",
            idempotency_key=f"key {promise.mark}",
            request_digest=f"digest {promise.mark}",
        )

    @rule(chosen=st.lists(jobs, min_size=1, max_size=6), later=st.sampled_from([0, 0, 700, 3000]))
    def submit(self, chosen, later):
        with self.step():
            self.mono += later
            self.wall += later
            plans = [
                self.plan(number, job)
                for number, job in enumerate(chosen, len(self.model.jobs) + 1)
            ]
            ids = self.life.queue.submit_once([ops for _, ops in plans]).result(PATIENCE).ids
            self.model.accept(ids, [promise for promise, _ in plans])

    @rule(job=jobs)
    def submit_with_key(self, job):
        with self.step():
            number = len(self.model.jobs) + 1
            self.submit_keyed(number, *self.plan(number, job))

    def submit_keyed(self, number, promise, ops):
        """Submit a job with its key, perhaps not for the first time."""
        context = self.context(promise)
        ids = self.life.queue.submit_once([ops], context).result(PATIENCE).ids
        assert ids == [number], f"{ids} instead of {number}"
        if number not in self.model.jobs:
            self.model.accept(ids, [promise])
        self.keys.append((context, number))

    @rule(pick=picks, other=st.booleans())
    def submit_again(self, pick, other):
        with self.step():
            if not self.keys:
                return
            context, number = self.keys[pick % len(self.keys)]
            digest = "another" if other else context.request_digest
            answer = self.life.queue.submit_once(
                [[opcodes.OpTestDelay(duration=1.0)]],
                RequestContext(
                    user="admin", idempotency_key=context.idempotency_key, request_digest=digest
                ),
            )
            if other:
                assert isinstance(answer.exception(PATIENCE), errors.IdempotencyConflict)
            else:
                assert answer.result(PATIENCE).ids == [number]

    @rule(pick=picks)
    def cancel(self, pick):
        with self.step():
            number = self.pick(pick)
            job = self.model.jobs.get(number)
            answer = self.life.queue.cancel(number).result(PATIENCE)
            works = number in self.model.working
            stubborn = works and self.model.working[number].word == "stubborn"
            possible = job is not None and job.final is None and not stubborn
            assert answer[0] == possible, answer
            self.note_cancel(number, answer)
            if possible:
                assert job.canceled != works, answer
                self.life.unblock(number)

    def note_cancel(self, number, answer):
        done, text = answer
        if done:
            job = self.model.jobs[number]
            job.canceled |= text == f"Job {number} canceled"
            job.to_cancel = True

    @rule(pick=picks, priority=st.integers(-20, 19))
    def change_priority(self, pick, priority):
        with self.step():
            number = self.pick(pick)
            done, text = self.life.queue.change_priority(number, priority).result(PATIENCE)
            job = self.model.jobs.get(number)
            assert done == (job is not None and job.final is None), text
            if done:
                self.model.jobs[number].priority = priority

    @rule(pick=picks)
    def archive(self, pick):
        with self.step():
            job = self.model.jobs.get(number := self.pick(pick))
            done = self.life.queue.archive(number).result(PATIENCE)
            assert done == (job is not None and job.final is not None and not job.archived)
            if done:
                job.archived = True
                assert self.life.queue.job(number).archived

    @rule(age=st.sampled_from([-1, 0, 60, 3600]))
    def auto_archive(self, age):
        with self.step():
            done, left = self.life.queue.auto_archive(age, PATIENCE)
            now = {job.id for job in self.life.queue.jobs(archived=True) if job.archived}
            for number in now - {id_ for id_, job in self.model.jobs.items() if job.archived}:
                job = self.model.jobs[number]
                assert job.final and self.mono - job.final_since >= age, f"{number} is early"
                job.archived, done = True, done - 1
            assert (done, left) == (0, 0)
            for number, job in self.model.jobs.items():
                ended_under_this_master = job.final_since >= self.since
                is_old = ended_under_this_master and self.mono - job.final_since >= age + 2
                if job.final and (age < 0 or is_old):
                    assert job.archived, f"{number} is late"
            assert [job.id for job in self.life.queue.jobs()] == [
                number for number, job in self.model.jobs.items() if not job.archived
            ]

    # -- work and time --------------------------------------------------------------------

    @rule(chosen=st.lists(picks, min_size=1, max_size=4))
    def let_through(self, chosen):
        for pick in chosen:
            with self.step():
                working = sorted(self.model.working)
                if working:
                    self.life.unblock(working[pick % len(working)])

    @rule(
        seconds=st.sampled_from([0.4, 59.5, 900, 3000]),
        jump=st.sampled_from([0, 0, -86400, 86400, 3e8, -1e9]),
    )
    def let_time_pass(self, seconds, jump):
        with self.step():
            self.mono += seconds
            self.wall = max(0.0, self.wall + seconds + jump)

    # -- masters --------------------------------------------------------------------------

    @rule(how=st.sampled_from(["kill", "kill", "stop", "leave"]), chosen=actions)
    def change_master(self, how, chosen):
        """Kill the master in the middle of actions, or stop it, with its work ending or blocked."""
        with self.step():
            old = self.life
            if how != "kill":
                old.end(orderly=how == "stop")
                self.follow(old, old.path)
                return
            path, pending = next(self.paths), []
            for what, detail in chosen:
                pending.append((what, *self.ask(what, detail, pending)))
            answered = old.kill(path, [answer for _, _, answer in pending if answer])
            self.follow(old, path, pending, answered)

    def ask(self, what, detail, pending):
        """Begin an action without waiting for its end; return its subject and the future answer."""
        queue = self.life.queue
        if what == "submit":
            number = len(self.model.jobs) + 1 + sum(kind == "submit" for kind, _, _ in pending)
            promise, ops = self.plan(number, detail)
            return (number, promise, ops), queue.submit_once([ops], self.context(promise))
        number = self.pick(detail)
        if what == "unblock":
            self.life.unblock(number)
            return number, None
        answer = queue.cancel(number) if what == "cancel" else queue.archive(number)
        self.life.unblock()
        return number, answer

    def follow(self, old, path, pending=(), answered=()):
        """Start the next master; clients that got no answer send their requests again."""
        self.begin_life(path)
        shown = self.life.wait_until_idle()
        again, answered = [], iter(answered)
        for what, about, answer in pending:
            reply = answer.result() if answer and next(answered) else None
            if what == "submit":
                number, promise, ops = about
                assert number <= len(shown) or reply is None, f"{reply} is lost"
                assert reply is None or reply.ids == [number], f"{reply} instead of {number}"
                if number <= len(shown):
                    self.model.accept([number], [promise])
                again.append(about)
            elif about in self.model.jobs and what != "unblock":
                job = self.model.jobs[about]
                if what == "archive":
                    job.archived |= shown[about - 1].archived if reply is None else reply
                elif reply is not None:
                    self.note_cancel(about, reply)
                else:
                    job.to_cancel = True  # perhaps
        self.model.compare(shown, self.mono)
        self.replay_events(old, in_order=False)
        assert self.life.interrupted <= old.entered, f"{self.life.interrupted} had not all begun"
        self.model.crash(self.life.interrupted, self.mono)
        for plan in again:
            self.submit_keyed(*plan)

    def teardown(self):
        """Let all work end, and with it every job."""
        try:
            if self.whole:
                self.model.note_waiting({}, {})
                with self.step():
                    self.life.unblock_all()
                assert not self.model.live(), self.model.live()
        finally:
            self.life.discard()
            shutil.rmtree(self.folder, ignore_errors=True)
