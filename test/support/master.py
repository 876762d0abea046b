"""A whole master in this process: real configuration, queue and socket, no daemon."""

import contextlib
import threading

from ganeti import locking, luxi, mcpu
from ganeti.cmdlib.base import Environment
from ganeti.jqueue.queue import JobQueue
from ganeti.query.engine import Sources
from ganeti.server import luxi_server
from ganeti.utils.event_loop import Loop
from support.cluster import NODES, make_cluster, make_paths

PATIENCE = 30


class MasterScene:
    """``call`` goes over the socket; ``connect`` gives a raw one."""

    def __init__(self, root, *, nodes=NODES, executor=lambda processor: processor, **settings):
        self.paths = make_paths(root)
        self.store, self.config, nodes = make_cluster(root, nodes, **settings)
        locks = locking.LockManager()
        environment = Environment(self.config, nodes)
        self.queue = JobQueue(
            self.store,
            executor(mcpu.Processor(environment, locks)).begin,
            rerun_safe=mcpu.rerun_safe,
        )
        self.queue.start()
        sources = Sources(self.config, nodes, self.queue, locks)
        self.loop = Loop()
        self.server = luxi_server.LuxiServer(
            luxi_server.listen(self.paths.query_socket), sources, self.loop
        )
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()

    def call(self, call):
        with contextlib.closing(self.client()) as client:
            return client.call(call)

    def client(self):
        return luxi.Client(self.paths.query_socket, call_timeout=PATIENCE)

    def connect(self):
        return luxi.connect(self.paths.query_socket, PATIENCE)

    def submit(self, *ops):
        return self.call(luxi.SubmitJob([op.to_wire() for op in ops]))

    def wait(self, job_id):
        values = None
        while values is None or values[0] not in ("success", "error", "canceled"):
            values, _ = self.call(luxi.WaitForJobChange(job_id, ["status"], values, 10**9, 60))
        return self.queue.job(job_id)

    def close(self):
        self.server.stop()
        self.thread.join(PATIENCE)
        self.queue.stop(PATIENCE)
        self.server.close()
        self.loop.close()
        self.config.ssconf.flush()
        self.store.close()
