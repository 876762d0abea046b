"""The functions that carry out LUXI calls, except submissions and waits (``luxi_server``).

A read gets the sources and the call, a change gets the queue, the call and who asks. Each
returns the result, or a future of it, and raises errors, which the server encodes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NoReturn

from ganeti import errors, luxi
from ganeti.constants import LUXI_WAIT_CAP, ErrorCode
from ganeti.jqueue.job import cut
from ganeti.jqueue.queue import JobQueue
from ganeti.luxi import RequestContext
from ganeti.query import cluster, engine, job_filter
from ganeti.query import job as job_query
from ganeti.query.engine import Sources

logger = logging.getLogger(__name__)


def job_id(value: object) -> int:
    """Return a job id as a number; ``ValueError`` is impossible for a call that was checked."""
    number = luxi.read_job_id(value)
    if number is None:
        raise ValueError(f"not a job id: {value!r}")
    return number


# -- reads --------------------------------------------------------------------------


def _query_jobs(sources: Sources, call: luxi.QueryJobs) -> object:
    ids = [job_id(value) for value in call.job_ids or ()]
    return job_query.plain_rows(sources, ids or None, call.fields)


def _query_fields(sources: Sources, call: luxi.QueryFields) -> object:
    return engine.field_list(call.what, call.fields)


_ClassicCall = luxi.QueryInstances | luxi.QueryNodes | luxi.QueryGroups | luxi.QueryNetworks


def _classic(kind: str) -> Callable[[Sources, _ClassicCall], object]:
    def answer(sources: Sources, call: _ClassicCall) -> object:
        _refuse_lock(call.lock)
        return engine.classic(sources, kind, call.names, call.fields)

    return answer


def _query_exports(sources: Sources, call: luxi.QueryExports) -> object:
    _refuse_lock(call.lock)
    config = sources.config
    nodes = [config.node(name) for name in call.nodes] or config.nodes()
    return [[node.name, None] for node in nodes]


def _refuse_lock(lock: bool) -> None:
    if lock:
        raise errors.OpPrereqError("Sync queries are not allowed", ErrorCode.INVAL)


def _query_filters(sources: Sources, call: luxi.QueryFilters) -> object:
    return job_filter.plain_rows(sources, call.uuids, call.fields)


def _config_values(sources: Sources, call: luxi.QueryConfigValues) -> object:
    return cluster.config_values(sources, call.names)


def _cluster_info(sources: Sources, call: luxi.QueryClusterInfo) -> object:
    # The call that clients repeat most: the bytes are kept until the configuration changes.
    return sources.config.generation.cached(
        "answer of QueryClusterInfo", lambda: luxi.pack_result(cluster.info(sources))
    )


def _tags(sources: Sources, call: luxi.QueryTags) -> object:
    return cluster.tags_of(sources, call.kind, call.name)


# -- changes ------------------------------------------------------------------------


def _pickup(queue: JobQueue, call: luxi.PickupJob, context: RequestContext) -> NoReturn:
    raise errors.GenericError("PickupJob is internal to another kind of master")


def _log_call(context: RequestContext, action: str) -> None:
    """Log who asked for a change that no job makes."""
    logger.info("Call%s: %s", cut(context.who), cut(action))


def _cancel(queue: JobQueue, call: luxi.CancelJob, context: RequestContext) -> object:
    # For ``kill``, luxid kills the job's process, which leaves locks, disks and guests behind.
    # Our jobs are not processes: ``kill`` is a cancellation like any other.
    number = job_id(call.job_id)
    _log_call(context, f"{'kill' if call.kill else 'cancel'} job {number}")
    return queue.cancel(number)


def _change_priority(
    queue: JobQueue, call: luxi.ChangeJobPriority, context: RequestContext
) -> object:
    number = job_id(call.job_id)
    _log_call(context, f"priority {call.priority} for job {number}")
    return queue.change_priority(number, call.priority)


def _archive(queue: JobQueue, call: luxi.ArchiveJob, context: RequestContext) -> object:
    number = job_id(call.job_id)
    _log_call(context, f"archive job {number}")
    return queue.archive(number)


def _auto_archive(queue: JobQueue, call: luxi.AutoArchiveJobs, context: RequestContext) -> object:
    # Bounded, since a master that stops waits for this thread.
    return queue.auto_archive(call.age, min(call.timeout, LUXI_WAIT_CAP))


def _replace_filter(queue: JobQueue, call: luxi.ReplaceFilter, context: RequestContext) -> object:
    _log_call(context, f"put filter {call.uuid or 'of a new uuid'}")
    return queue.put_filter(
        call.uuid, call.priority, call.predicates, call.action, call.reason_trail
    )


def _delete_filter(queue: JobQueue, call: luxi.DeleteFilter, context: RequestContext) -> None:
    _log_call(context, f"remove filter {call.uuid}")
    queue.remove_filter(call.uuid)


def _drain(queue: JobQueue, call: luxi.SetDrainFlag, context: RequestContext) -> object:
    _log_call(context, f"drain flag {call.flag}")
    return queue.set_drained(call.flag)


def _watcher_pause(queue: JobQueue, call: luxi.SetWatcherPause, context: RequestContext) -> object:
    return queue.set_watcher_pause(call.until)


# -- the tables ---------------------------------------------------------------------

#: The calls that only read; their answers do not depend on who asks.
READS: dict[type[luxi.Call], Callable[[Sources, Any], object]] = {
    luxi.QueryJobs: _query_jobs,
    luxi.Query: engine.answer,
    luxi.QueryFields: _query_fields,
    luxi.QueryInstances: _classic("instance"),
    luxi.QueryNodes: _classic("node"),
    luxi.QueryGroups: _classic("group"),
    luxi.QueryNetworks: _classic("network"),
    luxi.QueryExports: _query_exports,
    luxi.QueryFilters: _query_filters,
    luxi.QueryConfigValues: _config_values,
    luxi.QueryClusterInfo: _cluster_info,
    luxi.QueryTags: _tags,
}

#: The calls that change the queue, apart from submissions.
CHANGES: dict[type[luxi.Call], Callable[[JobQueue, Any, RequestContext], object]] = {
    luxi.PickupJob: _pickup,
    luxi.CancelJob: _cancel,
    luxi.ChangeJobPriority: _change_priority,
    luxi.ArchiveJob: _archive,
    luxi.AutoArchiveJobs: _auto_archive,
    luxi.ReplaceFilter: _replace_filter,
    luxi.DeleteFilter: _delete_filter,
    luxi.SetDrainFlag: _drain,
    luxi.SetWatcherPause: _watcher_pause,
}
