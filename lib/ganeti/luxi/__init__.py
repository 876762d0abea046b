"""LUXI: how clients talk to the master.

A message is one JSON object and the byte 0x03. A request is ``{"method",
"args", "version"}``, an answer ``{"success", "result"}``; requests of one
connection are answered in order. Measured against luxid 3.0.2; nothing here is
particular to our own master except optional members (``context``, ``paging`` and
``state`` of a request, notes of a reply), which a real luxid ignores.

  messages     framing, requests and replies as bytes and back; each call a dataclass
  dialect      the words of a real luxid that mean something to us
  client       connections to a master: one, and those that threads share
  health       whether the master answers anybody at all
  job_watcher  waiting for jobs, without threads
"""

from ganeti.luxi.client import CALL_TIMEOUT, CONNECT_TIMEOUT, Client, connect
from ganeti.luxi.health import HealthMonitor
from ganeti.luxi.job_watcher import JobWatcher
from ganeti.luxi.messages import (
    CALLS,
    EOM,
    RECEIVE_SIZE,
    ArchiveJob,
    AutoArchiveJobs,
    Call,
    CancelJob,
    ChangeJobPriority,
    DeleteFilter,
    PickupJob,
    Query,
    QueryClusterInfo,
    QueryConfigValues,
    QueryExports,
    QueryFields,
    QueryFilters,
    QueryGroups,
    QueryInstances,
    QueryJobs,
    QueryNetworks,
    QueryNodes,
    QueryTags,
    ReplaceFilter,
    Reply,
    RequestContext,
    SetDrainFlag,
    SetWatcherPause,
    Splitter,
    SubmitJob,
    SubmitJobToDrainedQueue,
    SubmitManyJobs,
    WaitForJobChange,
    pack,
    pack_error,
    pack_parse_failure,
    pack_result,
    parse_answer,
    parse_job_id,
    parse_reply,
    parse_request,
    read_job_id,
    request,
)

__all__ = [
    "CALLS",
    "CALL_TIMEOUT",
    "CONNECT_TIMEOUT",
    "EOM",
    "RECEIVE_SIZE",
    "ArchiveJob",
    "AutoArchiveJobs",
    "Call",
    "CancelJob",
    "ChangeJobPriority",
    "Client",
    "DeleteFilter",
    "HealthMonitor",
    "JobWatcher",
    "PickupJob",
    "Query",
    "QueryClusterInfo",
    "QueryConfigValues",
    "QueryExports",
    "QueryFields",
    "QueryFilters",
    "QueryGroups",
    "QueryInstances",
    "QueryJobs",
    "QueryNetworks",
    "QueryNodes",
    "QueryTags",
    "ReplaceFilter",
    "Reply",
    "RequestContext",
    "SetDrainFlag",
    "SetWatcherPause",
    "Splitter",
    "SubmitJob",
    "SubmitJobToDrainedQueue",
    "SubmitManyJobs",
    "WaitForJobChange",
    "connect",
    "pack",
    "pack_error",
    "pack_parse_failure",
    "pack_result",
    "parse_answer",
    "parse_job_id",
    "parse_reply",
    "parse_request",
    "read_job_id",
    "request",
]
