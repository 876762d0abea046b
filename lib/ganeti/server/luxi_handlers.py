"""What the master answers to each LUXI call.

A function takes the call and who asks, and returns the result, or a future of
it. Errors are raised; the server encodes them. ``WaitForJobChange`` is not
here: it waits, and so belongs to the server's loop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganeti import errors, luxi, opcodes
from ganeti.constants import LUXI_WAIT_CAP, ErrorCode
from ganeti.jqueue.job import cut
from ganeti.jqueue.queue import JobQueue
from ganeti.jqueue.submission import Accepted
from ganeti.luxi import RequestContext
from ganeti.query import cluster, engine
from ganeti.query.base import Sources
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

Result = Any


@dataclass(frozen=True)
class MasterServices:
    """What the calls work with."""

    sources: Sources
    queue: JobQueue
    clock: Callable[[], float] = time.time


def job_id(value: object) -> int:
    """Return the number of a job id in any of its forms; the call's own check let it in."""
    number = luxi.read_job_id(value)
    assert number is not None
    return number


def load_ops(wires: list[dict[str, Any]]) -> list[opcodes.OpCode]:
    """The opcodes of a submission; ``OpPrereqError`` names what is wrong with them."""
    ops = []
    for wire in wires:
        op_id = wire.get("OP_ID")  # or whatever else stands there
        if isinstance(op_id, str) and op_id in opcodes.FORWARD_ONLY:
            raise errors.OpPrereqError(f"This master does not carry out {op_id}", ErrorCode.ENVIRON)
        try:
            ops.append(opcodes.load(wire))
        except opcodes.FieldError as err:
            raise errors.OpPrereqError(str(err), ErrorCode.INVAL) from None
    return ops


def _submit(master: MasterServices, call: luxi.SubmitJob, context: RequestContext) -> Result:
    return _submit_one(master, call.ops, context, to_drained=False)


def _submit_to_drained(
    master: MasterServices, call: luxi.SubmitJobToDrainedQueue, context: RequestContext
) -> Result:
    return _submit_one(master, call.ops, context, to_drained=True)


def _submit_one(
    master: MasterServices,
    wires: list[dict[str, Any]],
    context: RequestContext,
    *,
    to_drained: bool,
) -> Result:
    def reply(accepted: Accepted) -> luxi.Reply:
        if context.idempotency_key is None:
            return luxi.Reply(accepted.ids[0])
        return luxi.Reply(
            accepted.ids[0], {"idempotency": "replayed" if accepted.replayed else "stored"}
        )

    return master.queue.submit_once([load_ops(wires)], context, to_drained=to_drained, shape=reply)


def _submit_many(
    master: MasterServices, call: luxi.SubmitManyJobs, context: RequestContext
) -> Result:
    # A key names one job; here it is not honoured, and the reply says nothing of it.
    context = dataclasses.replace(context, idempotency_key=None, request_digest=None)
    return master.queue.submit_once(
        [load_ops(ops) for ops in call.jobs],
        context,
        shape=lambda found: [[True, job] for job in found.ids],
    )


def _pickup(master: MasterServices, call: luxi.PickupJob, context: RequestContext) -> Result:
    raise errors.GenericError("PickupJob is internal to another kind of master")


def _log_call(context: RequestContext, what: str) -> None:
    """Have the log say who asked for what no job does."""
    logger.info("Call%s: %s", cut(context.who), cut(what))


def _cancel(master: MasterServices, call: luxi.CancelJob, context: RequestContext) -> Result:
    # luxid sends the job's process a signal, SIGKILL for ``kill``, which leaves locks, disks and
    # guests behind. Here work is no process of its own: ``kill`` is a cancellation like any other.
    number = job_id(call.job_id)
    _log_call(context, f"{'kill' if call.kill else 'cancel'} job {number}")
    return master.queue.cancel(number)


def _change_priority(
    master: MasterServices, call: luxi.ChangeJobPriority, context: RequestContext
) -> Result:
    number = job_id(call.job_id)
    _log_call(context, f"priority {call.priority} for job {number}")
    return master.queue.change_priority(number, call.priority)


def _archive(master: MasterServices, call: luxi.ArchiveJob, context: RequestContext) -> Result:
    number = job_id(call.job_id)
    _log_call(context, f"archive job {number}")
    return master.queue.archive(number)


def _auto_archive(
    master: MasterServices, call: luxi.AutoArchiveJobs, context: RequestContext
) -> Result:
    # No longer than a client waits for an answer, and than a stop waits for this thread.
    return master.queue.auto_archive(call.age, min(call.timeout, LUXI_WAIT_CAP))


def _query_jobs(master: MasterServices, call: luxi.QueryJobs, context: RequestContext) -> Result:
    ids = [job_id(value) for value in call.job_ids or ()]
    return engine.job_rows(master.sources, ids or None, call.fields)


def _query(master: MasterServices, call: luxi.Query, context: RequestContext) -> Result:
    if call.paging is not None and call.what == "job":
        return engine.run_page(master.sources, call.fields, call.qfilter, call.paging)
    # First: what changes meanwhile makes another state, and not another answer to this one.
    known = None if call.state is None else engine.state_of(master.sources, call.state)
    answer = engine.run(master.sources, call.what, call.fields, call.qfilter)
    return answer if known is None else luxi.Reply(answer, {"state": known})


def _query_fields(
    master: MasterServices, call: luxi.QueryFields, context: RequestContext
) -> Result:
    return engine.field_list(call.what, call.fields)


def _classic(what: str) -> Callable[[MasterServices, Any, RequestContext], Result]:
    def answer(master: MasterServices, call: Any, context: RequestContext) -> Result:
        if call.lock:
            raise errors.OpPrereqError("Sync queries are not allowed", ErrorCode.INVAL)
        return engine.classic(master.sources, what, call.names, call.fields)

    return answer


def _query_exports(
    master: MasterServices, call: luxi.QueryExports, context: RequestContext
) -> Result:
    if call.lock:
        raise errors.OpPrereqError("Sync queries are not allowed", ErrorCode.INVAL)
    config = master.sources.config
    nodes = [config.node(name) for name in call.nodes] or config.nodes()
    return [[node.name, None] for node in nodes]


def _query_filters(
    master: MasterServices, call: luxi.QueryFilters, context: RequestContext
) -> Result:
    return engine.filter_rows(master.sources, call.uuids, call.fields)


def _replace_filter(
    master: MasterServices, call: luxi.ReplaceFilter, context: RequestContext
) -> Result:
    _log_call(context, f"put filter {call.uuid or 'of a new uuid'}")
    return master.queue.put_filter(
        call.uuid, call.priority, call.predicates, call.action, call.reason_trail
    )


def _delete_filter(
    master: MasterServices, call: luxi.DeleteFilter, context: RequestContext
) -> Result:
    _log_call(context, f"remove filter {call.uuid}")
    return master.queue.remove_filter(call.uuid)


def _config_values(
    master: MasterServices, call: luxi.QueryConfigValues, context: RequestContext
) -> Result:
    return cluster.config_values(master.sources, call.names)


def _cluster_info(
    master: MasterServices, call: luxi.QueryClusterInfo, context: RequestContext
) -> Result:
    # What asks most often asks for this; it is written anew when something has changed.
    return master.sources.config.generation.cached(
        "answer of QueryClusterInfo", lambda: success(cluster.info(master.sources))
    )


def _tags(master: MasterServices, call: luxi.QueryTags, context: RequestContext) -> Result:
    return cluster.tags_of(master.sources, call.kind, call.name)


def _drain(master: MasterServices, call: luxi.SetDrainFlag, context: RequestContext) -> Result:
    _log_call(context, f"drain flag {call.flag}")
    return master.queue.set_drained(call.flag)


def _watcher_pause(
    master: MasterServices, call: luxi.SetWatcherPause, context: RequestContext
) -> Result:
    return master.queue.set_watcher_pause(call.until)


#: The whole protocol, but for WaitForJobChange.
HANDLERS: dict[type[luxi.Call], Callable[[MasterServices, Any, RequestContext], Result]] = {
    luxi.SubmitJob: _submit,
    luxi.SubmitJobToDrainedQueue: _submit_to_drained,
    luxi.SubmitManyJobs: _submit_many,
    luxi.PickupJob: _pickup,
    luxi.CancelJob: _cancel,
    luxi.ChangeJobPriority: _change_priority,
    luxi.ArchiveJob: _archive,
    luxi.AutoArchiveJobs: _auto_archive,
    luxi.QueryJobs: _query_jobs,
    luxi.Query: _query,
    luxi.QueryFields: _query_fields,
    luxi.QueryInstances: _classic("instance"),
    luxi.QueryNodes: _classic("node"),
    luxi.QueryGroups: _classic("group"),
    luxi.QueryNetworks: _classic("network"),
    luxi.QueryExports: _query_exports,
    luxi.QueryFilters: _query_filters,
    luxi.ReplaceFilter: _replace_filter,
    luxi.DeleteFilter: _delete_filter,
    luxi.QueryConfigValues: _config_values,
    luxi.QueryClusterInfo: _cluster_info,
    luxi.QueryTags: _tags,
    luxi.SetDrainFlag: _drain,
    luxi.SetWatcherPause: _watcher_pause,
}


#: Calls that only hand something over or read a few words, and wait for nothing.
QUICK = (
    luxi.SubmitJob,
    luxi.SubmitJobToDrainedQueue,
    luxi.CancelJob,
    luxi.ArchiveJob,
    luxi.QueryConfigValues,
    luxi.QueryClusterInfo,
)


def success(result: Any) -> bytes:
    """An answer as it goes out, which bytes are already; a ``luxi.Reply`` has notes beside
    its result."""
    if isinstance(result, bytes):
        return result
    try:
        if isinstance(result, luxi.Reply):
            return luxi.pack({"success": True, "result": result.result, **result.notes})
        return luxi.pack({"success": True, "result": result})
    except (TypeError, ValueError) as err:
        logger.exception("An answer could not be written as JSON")
        return failure(errors.ProgrammerError(str(err)))


def unreadable(why: str) -> bytes:
    """The answer to what is no request: words, as luxid has it, where errors are lists."""
    return luxi.pack({"success": False, "result": f"Failed to parse request: {why}"})


def failure(error: BaseException) -> bytes:
    """A refusal as it goes out; an error that is not ours is our mistake."""
    if not isinstance(error, errors.Error):
        logger.error("A LUXI call failed", exc_info=error)
        words = describe_os_error(error) if isinstance(error, OSError) else str(error)
        error = errors.ProgrammerError(f"{type(error).__name__}: {words}")
    with contextlib.suppress(TypeError, ValueError):
        return luxi.pack({"success": False, "result": errors.encode(error)})
    return luxi.pack({"success": False, "result": ["GenericError", [str(error)]]})
