"""A master that answers when a test tells it to."""

import contextlib
import socket
import threading

OK = b'{"success": true, "result": ["cluster"]}\x03'
SOON = 0.05  # seconds of a timeout; everything else waits for events


class SlowMaster:
    """Takes connections, and answers all that came or comes once it is told to."""

    def __init__(self, path):
        self.speaks = threading.Event()
        self.asked = threading.Semaphore(0)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError):
            while sock.recv(4096):
                self.asked.release()
                assert self.speaks.wait(20)
                sock.sendall(OK)

    def close(self):
        self.speaks.set()
        self._server.close()
