"""A proxy on a LUXI socket that keeps what is asked, and lets no job be made.

Everything is passed on to the master behind it and back, but a job: that is answered here,
with a number that no job has. So what a front makes of a request is seen in no time, and
the master stays as it is.
"""

import contextlib
import json
import os
import socket
import threading

END = b"\x03"
#: Ids of the jobs that were not made.
FIRST = 900_000_000


class Recorder:
    """Listens on ``path`` for clients of the master on ``behind``."""

    def __init__(self, path, behind):
        self._behind = str(behind)
        self._lock = threading.Lock()
        self._kept = []
        self._made = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        os.chmod(path, 0o666)
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self):
        """The jobs that were asked for since the last time: lists of opcodes."""
        with self._lock:
            kept, self._kept = self._kept, []
        return kept

    def close(self):
        """Take no more connections."""
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        """One request after the other, each with its answer: LUXI is nothing else."""
        with client, socket.socket(socket.AF_UNIX) as master, contextlib.suppress(OSError):
            master.connect(self._behind)
            rest = b""
            while True:
                message, rest = _read(client, rest)
                if message is None:
                    return
                answer = self._answer(json.loads(message))
                if answer is None:
                    master.sendall(message + END)
                    answer, _ = _read(master, b"")
                    if answer is None:
                        return
                client.sendall(answer + END)

    def _answer(self, request):
        """What is said to a request that does not reach the master."""
        if request["method"] not in ("SubmitJob", "SubmitJobToDrainedQueue", "SubmitManyJobs"):
            return None
        with self._lock:
            jobs = request["args"][0]
            jobs = jobs if request["method"] == "SubmitManyJobs" else [jobs]
            self._kept.extend(jobs)
            numbers = []
            for _ in jobs:
                self._made += 1
                numbers.append(FIRST + self._made)
        result = (
            numbers[0]
            if request["method"] != "SubmitManyJobs"
            else [[True, number] for number in numbers]
        )
        return json.dumps({"success": True, "result": result}).encode()


def _read(stream, rest):
    """(A message without its end, what came behind it); (None, b"") at the end."""
    while END not in rest:
        data = stream.recv(65536)
        if not data:
            return None, b""
        rest += data
    message, _, rest = rest.partition(END)
    return message, rest
