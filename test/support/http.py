"""Servers on real loopback sockets, by a clock that the test turns, and clients for them."""

import contextlib
import functools
import json
import queue
import socket
import ssl
import subprocess
import tempfile
import threading

from ganeti.http.message import MAX_BODY, Priority, Response, Route
from ganeti.http.server import Server
from ganeti.utils.event_loop import Loop

#: Seconds after which a test that waits in vain fails.
TIMEOUT = 20


@functools.cache
def certificate(name="localhost"):
    """Return the path of a PEM file with a certificate and its key, made once per test run."""
    folder = _folder()
    cert, key, both = (f"{folder}/{name}.{kind}" for kind in ("crt", "key", "pem"))
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )
    with open(both, "wb") as file:
        for path in (key, cert):
            with open(path, "rb") as part:
                file.write(part.read())
    return both


@functools.cache
def _keeper():
    return tempfile.TemporaryDirectory(prefix="ganeti-test-tls-")


def _folder():
    return _keeper().name


class SteppedClock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def echo(request):
    """Answer a request with its method, path and body."""
    text = json.dumps([request.method, request.path, request.body.decode()])
    return Response(
        200,
        text.encode(),
        [("Content-Type", "application/json")],
        user=request.headers.get("Authorization", ""),
    )


class HandlerRoute(Route):
    """A route to one function; others may give the priority of a head and its early answer."""

    def __init__(self, head, handler, priority=None, answer_from_head=None, max_body=MAX_BODY):
        super().__init__(max_body, priority(head) if priority else Priority.ORDINARY)
        self._handler = handler
        self._answer_from_head = answer_from_head

    def handle(self, request):
        return self._handler(request)

    def answer_from_head(self, request):
        return self._answer_from_head(request) if self._answer_from_head else None


class Running:
    """A server on a thread of its own; ``routing`` is for ``HandlerRoute``."""

    def __init__(self, handler=echo, routing=None, **options):
        self.clock = SteppedClock()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = listener.getsockname()
        self._accesses = queue.SimpleQueue()
        self.server = Server(
            [listener],
            lambda head: HandlerRoute(head, handler, **routing or {}),
            loop=Loop(self.clock),
            access_log=self._accesses.put,
            wall_clock=lambda: 0.0,
            server_name="Ganeti-RAPI/test",
            **options,
        )
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def call(self, function=lambda: None):
        """Call on the loop's thread; what it returns."""
        done, result = threading.Event(), []
        self.server.loop.call_threadsafe(lambda: (result.append(function()), done.set()))
        assert done.wait(TIMEOUT), "the loop does not answer"
        return result[0]

    def access(self):
        """Return the next line of the access log, which is written after the answer."""
        return self._accesses.get(timeout=TIMEOUT)

    def wait_until_read(self):
        """Wait until the server has read everything that clients have sent.

        Loopback delivers immediately; a few rounds of the loop accept, shake hands and read.
        """
        for _ in range(5):
            self.call()

    def pass_time(self, seconds):
        """Let time pass, once all that was sent is read, and let the timers notice."""
        self.wait_until_read()
        self.clock.now += seconds
        self.wait_until_read()

    def clients(self):
        """Return the number of connections once everything has been read."""
        self.wait_until_read()
        return self.call(lambda: self.server.clients)

    def connect(self):
        """Return a plain connection."""
        sock = socket.create_connection(self.address, timeout=TIMEOUT)
        return RawHttpClient(sock)

    def connect_tls(self, trusted=None, alpn=()):
        """Return a connection after its handshake."""
        context = ssl.create_default_context(cafile=trusted or certificate())
        if alpn:
            context.set_alpn_protocols(list(alpn))
        sock = socket.create_connection(self.address, timeout=TIMEOUT)
        return RawHttpClient(context.wrap_socket(sock, server_hostname="localhost"))

    def stop(self, grace=0.0):
        """Stop, and wait for the end."""
        self.server.stop(grace)
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive(), "the server does not stop"


class RawHttpClient:
    """One connection, byte by byte if need be."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data):
        """Send bytes; gives itself back."""
        self.sock.sendall(data)
        return self

    def ask(self, path="/", method="GET", fields="", body=b""):
        """Send a request and read its answer."""
        self.request(path, method, fields, body)
        return self.answer(method)

    def request(self, path="/", method="GET", fields="", body=b""):
        """Send a request."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return self.send(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}{length}\r\n".encode() + body
        )

    def answer(self, method="GET"):
        """Return status, headers (names in lower case) and body of the next answer."""
        line = self.file.readline().decode()
        assert line.startswith("HTTP/1.1 "), f"no answer but {line!r}"
        headers = {}
        while field := self.file.readline().decode().rstrip("\r\n"):
            name, _, value = field.partition(": ")
            headers[name.lower()] = value
        length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        return int(line.split()[1]), headers, self.file.read(length)

    def status(self, path="/", **more):
        """Send a request and return the status of its answer."""
        return self.ask(path, **more)[0]

    def rest(self):
        """Return everything that comes until the server closes the connection."""
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""

    def ended(self):
        """Return whether the server ends the connection without sending anything before."""
        return self.rest() == b""

    def close(self):
        """Close the connection."""
        self.file.close()
        self.sock.close()


@contextlib.contextmanager
def running(handler=echo, **options):
    """Return a context with a server, which is stopped at its end."""
    found = Running(handler, **options)
    try:
        yield found
    finally:
        found.stop()
        found.server.loop.close()


def openssl(*words):
    """Run the program."""
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """Signs certificates."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self._lists = 0
        self.cert, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            self.key,
            # Python 3.13 insists on the one, OpenSSL for lists on the other.
            "-out",
            self.cert,
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        )

    def sign(self, subject, *more):
        """Return the path of a new certificate and its key, in one file."""
        stem = self._request(subject)
        openssl(
            "x509",
            "-req",
            "-in",
            f"{stem}.csr",
            "-CA",
            self.cert,
            "-CAkey",
            self.key,
            "-days",
            "2",
            "-out",
            f"{stem}.pem",
            *more,
        )
        return self._with_key(stem)

    def sign_expired(self, subject):
        """Return the path of an expired certificate and its key, in one file."""
        stem = self._request(subject)
        # `openssl x509` of 3.0 has no option for the day, and that of 3.5 takes no -days -1.
        openssl(
            "ca",
            "-config",
            self._config(),
            "-batch",
            "-notext",
            "-in",
            f"{stem}.csr",
            "-cert",
            self.cert,
            "-keyfile",
            self.key,
            "-startdate",
            "20250101000000Z",
            "-enddate",
            "20250102000000Z",
            "-out",
            f"{stem}.pem",
        )
        return self._with_key(stem)

    def crl(self, *revoked, begins="20250101000000Z", ends="20990101000000Z"):
        """Return the path of a new list that revokes the certificates in these files."""
        self._lists += 1
        path = self.folder / f"{self.name}-{self._lists}.crl"
        index = self.folder / "index"
        index.unlink(missing_ok=True)
        config = self._config()
        for certificate_file in revoked:
            openssl(
                "ca",
                "-config",
                config,
                "-cert",
                self.cert,
                "-keyfile",
                self.key,
                "-revoke",
                certificate_file,
            )
        openssl(
            "ca",
            "-config",
            config,
            "-cert",
            self.cert,
            "-keyfile",
            self.key,
            "-gencrl",
            "-crl_lastupdate",
            begins,
            "-crl_nextupdate",
            ends,
            "-out",
            path,
        )
        return str(path)

    def _config(self):
        """Write the configuration of `openssl ca`; return its path."""
        config = self.folder / f"{self.name}.cnf"
        config.write_text(
            f"[ca]\ndefault_ca = a\n[a]\ndatabase = {self.folder}/index\n"
            f"new_certs_dir = {self.folder}\ndefault_md = sha256\npolicy = p\n"
            "rand_serial = yes\n"
            "[p]\ncommonName = supplied\n"
        )
        (self.folder / "index").touch()
        return config

    def _request(self, subject):
        """Make a key and a request for its certificate; return their path without .key and .csr."""
        stem = self.folder / f"{self.name}-{subject.strip('/').replace('/', '-')}"
        openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            f"{stem}.key",
            "-out",
            f"{stem}.csr",
        )
        return stem

    def _with_key(self, stem):
        with open(f"{stem}.pem", "a") as both, open(f"{stem}.key") as key:
            both.write(key.read())
        return f"{stem}.pem"
