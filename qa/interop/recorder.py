"""A proxy on a LUXI socket that records requests and prevents jobs.

Everything is passed on to the master and back, except for submissions: they are answered here, with
a number that no job has. So the front's opcodes are seen at once, and the master stays unchanged.
"""

import contextlib
import json
import os
import socket
import threading

END = b"\x03"
#: Ids of the jobs that were not created.
FIRST = 900_000_000


class Recorder:
    """A proxy on ``path`` for the master on ``behind``."""

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
        """Return the jobs submitted since the last call: lists of opcodes."""
        with self._lock:
            kept, self._kept = self._kept, []
        return kept

    def close(self):
        """Close the listener."""
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        """Serve a connection: LUXI is one request at a time, each with its answer."""
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
        """Return the answer to a request that is not passed on."""
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
    """Return (a message without its terminator, the bytes after it); (None, b"") at the end."""
    while END not in rest:
        data = stream.recv(65536)
        if not data:
            return None, b""
        rest += data
    message, _, rest = rest.partition(END)
    return message, rest
