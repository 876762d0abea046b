"""A cluster with secrets and jobs of all kinds in its database, for backups and damage."""

import contextlib
import os

from ganeti import objects, opcodes
from ganeti.constants import JobStatus
from ganeti.db.store import Store
from ganeti.jqueue import rows
from ganeti.jqueue.job import LogEntry, Moment
from ganeti.luxi import RequestContext
from support.cluster import make_cluster, make_instance, make_paths, save

#: The secrets of the cluster, one of each kind; no backup may contain them.
CANARIES = ("canary-private", "canary-drbd", "canary-job", "canary-removed")
LIVE, QUEUED, DONE = 1, 2, 3


def make_filled_cluster(root, jobs=3):
    """Make the cluster and close it; return its paths."""
    store, config, _ = make_cluster(root)
    nodes = [node.uuid for node in config.nodes()]
    disk = objects.Disk(
        uuid="d1",
        dev_type="drbd",
        size=1,
        logical_id=[nodes[1], nodes[2], 11000, 0, 0, "canary-drbd"],
    )
    web = make_instance(
        config,
        "web.example.com",
        disk_template="drbd",
        disks=[disk],
        osparams_private={"password": "canary-private"},
        secondary_nodes=[nodes[2]],
    )
    gone = make_instance(
        config, "gone.example.com", osparams_private={"password": "canary-removed"}
    )
    save(config, web, gone, make_instance(config, "db.example.com"))
    transaction = config.begin()
    transaction.remove(gone)
    transaction.commit()
    store.write(lambda connection: _jobs(connection, jobs)).result()
    config.ssconf.flush()
    store.close()
    return make_paths(root)


def _jobs(connection, count):
    """Insert a running job, a queued one, and some that have ended."""
    reinstall = opcodes.OpInstanceReinstall(
        instance_name="web.example.com", osparams_secret={"root": "canary-job"}
    )
    live = rows.insert(connection, [reinstall, reinstall], RequestContext("admin"), Moment(1e9))
    for status in (JobStatus.WAITING, JobStatus.RUNNING):
        live.ops[0].move(status)
    live.ops[0].unsaved = [LogEntry(1, (1, 0), "message", "half done")]
    rows.save(connection, live, [0])
    rows.insert(connection, [reinstall], RequestContext("admin", "r", "key", "d"), Moment(1e9))
    for _ in range(2, count):
        job = rows.insert(
            connection,
            [opcodes.OpTestDelay(duration=1.0)],
            RequestContext("admin"),
            Moment(1e9, 50),
        )
        job.ops[0].status = JobStatus.RUNNING
        job.end(0, JobStatus.SUCCESS, job.id, Moment(2e9, 60))
        rows.save(connection, job, [0])


def query_database(paths, read):
    """Return what ``read`` returns for a connection to the database."""
    store = Store.open(paths.master_db)
    try:
        with store.read() as connection:
            return read(connection)
    finally:
        store.close()


def submit(paths, count=1):
    """Insert ``count`` queued jobs; return their ids."""
    store = Store.open(paths.master_db)
    try:
        return store.write(
            lambda connection: [
                rows.insert(
                    connection,
                    [opcodes.OpTestDelay(duration=1.0)],
                    RequestContext(),
                    Moment(1e9, 70),
                ).id
                for _ in range(count)
            ]
        ).result()
    finally:
        store.close()


def read_files(root):
    """Return the content of all files below a folder, by path."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@contextlib.contextmanager
def crashing_at(monkeypatch, names, step):
    """Make the block crash at call number ``step`` of the functions ``names`` of ``os``."""

    class Crash(BaseException):
        pass

    left = [step]

    def counted(real):
        def call(*arguments):
            if left[0] == 0:
                raise Crash
            left[0] -= 1
            return real(*arguments)

        return call

    with monkeypatch.context() as patch, contextlib.suppress(Crash):
        for name in names:
            patch.setattr(os, name, counted(getattr(os, name)))
        yield
