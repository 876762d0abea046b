"""Client of the Ganeti remote API in one file.

Copy it to where you need it: it imports only the standard library of Python 3.6 or later. ::

    from client import GanetiClient

    client = GanetiClient("https://cluster.example.com:5080", "admin", "secret",
                          ca_file="/etc/ssl/cluster.pem")
    print(client.get_info()["software_version"])
    job = client.create_instance("web.example.com", disk_template="file", os_type="noop",
                                 disks=[{"size": "1G"}], nics=[{}])
    client.wait_for_job(job)        # raises JobError if the job fails
    for instance in client.get_instances(bulk=True):
        print(instance["name"], instance["status"])

Methods that change something return the number of a job. They take the keyword arguments
``dry_run`` (check, but change nothing), ``reason`` (a text that the job shows),
``idempotency_key``, ``depends`` (``[[job, ["success"]], ...]``), ``priority`` (-10, 0 or 10),
``comment``, and the fields of the opcode. Several threads may use one client; each request has
its own connection.

A call ends within ``timeout`` seconds: it returns a result, or raises ``ApiError`` if the API
refused the request, or ``NoAnswer`` in all other cases. The client does not follow redirects and
does not use proxies, and no text of an exception contains the password.

If a connection breaks, the client sends the request again unless that could do something twice.
So it repeats a read, and a change whose idempotency key the server honours, as our front on our
own master does. If you give a key, which is a text of 1 to 255 characters that you use for one
change only, the client assumes that the server honours it. Otherwise the client makes a key for
each change, and relies on it once a response has said that keys are honoured.
``safe_to_repeat`` of an exception says whether you may make the same call again, with ``key`` of
the exception as its ``idempotency_key``.
"""

import base64
import functools
import http.client
import io
import json
import re
import socket
import ssl
import time
import urllib.parse
import uuid
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

__all__ = ["ApiError", "GanetiClient", "JobError", "NoAnswer", "FINAL"]

#: Statuses of a job that has ended.
FINAL = frozenset({"success", "error", "canceled"})

#: Bytes that are read of a response's body, and of what comes before it.
MAX_ANSWER = 64 * 1024 * 1024
MAX_HEAD = 256 * 1024
#: Responses with status 1xx that may precede the final one.
MAX_INTERIM = 10
#: Seconds before the first retry; the pause doubles for each later one.
PAUSE = 0.2
#: Digits of a number that is accepted, and characters of a text that an exception quotes.
MAX_DIGITS, MAX_TEXT = 400, 2000

#: A JSON object.
_Object = Dict[str, Any]
#: Words of a query, with their values.
_Words = Iterable[Tuple[str, object]]
#: Method of the client that ``_method`` makes; its docstring has the arguments.
_Method = Callable[..., Any]


class _Failure(Exception):
    """Base class of ``ApiError`` and ``NoAnswer``."""

    #: The idempotency key that the request had.
    key = None  # type: Optional[str]
    #: The same call, with this key, certainly does nothing twice.
    safe_to_repeat = False

    def __init__(self, text: str, harmless: bool = False, unclear: bool = False) -> None:
        super().__init__(text)
        #: The request certainly did nothing.
        self._harmless = harmless
        #: The request may have done something, and another try can find out.
        self._unclear = unclear


class NoAnswer(_Failure):
    """The API cannot be reached, or the response is not one of the API."""


class ApiError(_Failure):
    """The API refused a request.

    ``code`` is the HTTP status, ``message`` says what was wrong, ``explain`` what the status
    means, and ``detail``, if not empty, names the object. ``retry_after`` is the number of seconds
    after which to try again, or None if the API did not say.
    """

    def __init__(
        self,
        code: int,
        message: str,
        explain: str = "",
        detail: str = "",
        retry_after: Optional[int] = None,
    ) -> None:
        super().__init__(
            "%d %s%s" % (code, message, ": " + detail if detail else ""),
            code < 500 or code in (501, 503),
            code in (502, 504),
        )
        self.code, self.message, self.explain, self.detail = code, message, explain, detail
        self.retry_after = retry_after


class JobError(Exception):
    """A job did not succeed; ``job`` is the final result of ``get_job``."""

    def __init__(self, job: _Object, clean: Callable[[str], str] = str) -> None:
        self.job = job
        super().__init__(
            clean("job %s ended in %s: %s" % (job.get("id"), job.get("status"), self._reason(job)))
        )

    @staticmethod
    def _reason(job: _Object) -> str:
        """Return the message of the first opcode that did not succeed; '' if there is none."""
        statuses, results = job.get("opstatus"), job.get("opresult")
        if not isinstance(statuses, list) or not isinstance(results, list):
            return ""
        for status, result in zip(statuses, results):
            if status != "success":
                # A failed opcode has [class, [message, ...]].
                is_error = not _misfit(result, (str, [object])) and result[1]
                return str(result[1][0] if is_error else result)
        return ""


class _Wrong(Exception):
    """The response is not one of the API; the text is ours, not the server's."""


class _Wire(io.RawIOBase):
    """The part of a socket that ``http.client`` needs, with a deadline for the whole call.

    A socket's own timeout is for each read, so that a server could make a call last forever by
    sending a byte now and then. ``room`` is the number of bytes that may still be received.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline
        self._reader = io.BufferedReader(self)
        self.room = MAX_HEAD

    def makefile(self, *_: object) -> io.BufferedIOBase:
        """Return the only reader, which keeps what it has read ahead after a response 1xx."""
        return self._reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self.room -= count
        if self.room < 0:
            raise _Wrong("its response is too long")
        return count

    def sendall(self, data: bytes) -> None:
        """Send all of the data before the deadline."""
        while data:
            self._sock.settimeout(_left(self._deadline))
            data = data[self._sock.send(data) :]


def _left(deadline: float) -> float:
    """Return the seconds until the deadline; raise ``socket.timeout`` after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise socket.timeout()
    return seconds


def _method(
    kind: object,
    verb: str,
    path: str,
    doc: str,
    *fields: str,
    query: Tuple[str, ...] = (),
    optional: Tuple[str, ...] = (),
) -> _Method:
    """Return a method of the client whose result fits ``kind`` (see ``_misfit``).

    Its arguments are the names in ``path``, then the ``fields`` of the body, then the words of the
    ``query`` and ``optional`` fields. Other keyword arguments go into the body. ``name:key`` is an
    argument ``name`` that is called ``key`` on the wire.
    """
    slots = re.findall(r"{(\w+)}", path)
    known = {
        name.split(":")[0]: name.split(":")[-1] for name in (*slots, *fields, *query, *optional)
    }
    needed = len(slots) + len(fields)
    asked = [name.split(":")[0] for name in query] + ["dry_run", "reason"] * (verb != "GET")

    def call(self: "GanetiClient", *values: object, **words: Any) -> Any:
        given = dict(zip(known, values))  # type: _Object
        given_twice = set(given) & set(words)
        missing = set(list(known)[:needed]) - {*given, *words}
        unknown = set(words) - set(known) if verb == "GET" else set()
        if len(values) > len(known) or given_twice or missing or unknown:
            raise TypeError("the arguments are %s" % (call.__doc__ or "").partition("\n")[0])
        given.update(words)
        target = path.format(**{slot: _quote(given.pop(slot)) for slot in slots})
        # Tags go into the query, where every version of Ganeti reads them.
        pairs = [("tag", tag) for tag in (given.pop("tags") if "tags" in fields else ())]
        for name in asked:
            pairs.append((known.get(name, name.replace("dry_", "dry-")), given.pop(name, None)))
        if verb == "GET":
            return self._send(kind, verb, target, pairs)
        key = given.pop("idempotency_key", None)
        body = {
            known.get(name, name): value
            for name, value in given.items()
            if value is not None or name not in optional
        }
        return self._change(verb, target, pairs, body or None, key)

    call.__doc__ = "(%s)\n\n%s" % (
        ", ".join(
            [name if index < needed else name + "=None" for index, name in enumerate(known)]
            + ["**words"] * (verb != "GET")
        ),
        doc,
    )
    return call


def _get(kind: object, path: str, doc: str, *query: str) -> _Method:
    return _method(kind, "GET", path, doc, query=query)


def _names(path: str, member: str, doc: str) -> _Method:
    """Return a method that lists names, the ``member`` of each entry, or whole entries."""

    def call(self: "GanetiClient", bulk: bool = False) -> List[object]:
        found = self._send(
            [dict] if bulk else [{member: str}], "GET", path, [("bulk", bulk or None)]
        )
        return list(found) if bulk else [entry[member] for entry in found]

    call.__doc__ = "(bulk=False)\n\n" + doc
    return call


_put, _post, _delete = (functools.partial(_method, int, verb) for verb in ("PUT", "POST", "DELETE"))
_INSTANCE, _NODE = "/2/instances/{instance}", "/2/nodes/{node}"
_GROUP, _NETWORK = "/2/groups/{group}", "/2/networks/{network}"


class GanetiClient:
    """Client of one cluster.

    ``url`` is the address of the API, like ``https://cluster.example.com:5080``; it may contain
    the user and the password. ``ca_file`` is a file with the certificates to trust instead of the
    system's. ``timeout`` is the number of seconds that a call may take, with all its tries: a
    first one and up to ``retries`` more. Raises ``ValueError`` for invalid arguments.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        ca_file: Optional[str] = None,
        timeout: float = 60.0,
        retries: int = 2,
    ) -> None:
        parts = _read_url(url)
        if parts is None:  # the text does not quote the URL, which may contain a password
            raise ValueError(
                "the URL must be like https://cluster.example.com:5080, with any user "
                "and password in it percent-encoded"
            )
        self._host, self._port = parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/")
        self._url = "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], self._base)
        self._timeout, self._retries = timeout, retries
        self._pause = time.sleep  # type: Callable[[float], object]
        #: The server honours idempotency keys; None if that is not known yet.
        self._honours_keys = None  # type: Optional[bool]
        if not user and parts.username:
            user = urllib.parse.unquote(parts.username)
            password = urllib.parse.unquote(parts.password or "")
        if ":" in user:
            raise ValueError("the name of a user cannot contain a colon")
        token = base64.b64encode(("%s:%s" % (user, password)).encode("utf-8")).decode("ascii")
        self._authorization = "Basic " + token if user else ""
        #: Texts that no exception may contain, except very short ones, which occur everywhere.
        self._secrets = [
            text
            for text in (
                token.rstrip("="),
                _quote(password),
                password,
                urllib.parse.quote_plus(password),
            )
            if user and len(text) > 2
        ]
        self._tls = None  # type: Optional[ssl.SSLContext]
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca_file)

    def __repr__(self) -> str:
        return "<GanetiClient %s>" % self._url

    # -- requests --------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: _Words = (),
        body: object = None,
        idempotency_key: Optional[str] = None,
    ) -> Any:
        """Send a request and return the JSON in the response.

        ``path`` must be percent-encoded. Words of the query that are None are left out; True and
        False become 1 and 0. Raises ``ApiError`` or ``NoAnswer``.
        """
        return self._send(object, method, path, query, body, idempotency_key)

    def _change(
        self,
        method: str,
        target: str,
        query: _Words = (),
        body: object = None,
        key: Optional[str] = None,
    ) -> int:
        """Send a request that submits a job; return the job's number."""
        return int(
            self._send(int, method, target, query, body, key or uuid.uuid4().hex, own_key=not key)
        )

    def _send(
        self,
        kind: object,
        method: str,
        path: str,
        query: _Words = (),
        body: object = None,
        key: Optional[str] = None,
        own_key: bool = False,
        reads: bool = False,
    ) -> Any:
        """Send a request, more than once if need be; return the result, which fits ``kind``.

        ``own_key``: the key was made by the client. ``reads``: the request changes nothing.
        """
        words = [
            (name, int(value) if isinstance(value, bool) else value)
            for name, value in query
            if value is not None
        ]
        target = self._base + path + ("?" + urllib.parse.urlencode(words) if words else "")
        data = None if body is None else json.dumps(body).encode("ascii")
        if not re.match(r"[A-Z]+ /[!-~]*\Z", "%s %s" % (method, target)):
            raise ValueError("the method must be in capitals, and the path percent-encoded")
        if key is not None and not re.match(r"[ -~]{1,255}\Z", key):
            raise ValueError("an idempotency key must have 1 to 255 printable ASCII characters")
        reads = reads or method in ("GET", "HEAD", "OPTIONS")
        deadline = time.monotonic() + self._timeout
        pause, left = PAUSE, self._retries
        while True:
            value, failure = self._try(kind, method, target, data, key, deadline)
            if failure is None:
                return value
            # A caller who gives a key knows that the server honours it.
            honoured = self._honours_keys
            if honoured is None:
                honoured = not own_key
            failure.key = key
            failure.safe_to_repeat = reads or failure._harmless or (key is not None and honoured)
            # A read that the API refused would be refused again.
            useful = failure._unclear and not (reads and isinstance(failure, ApiError))
            in_time = left > 0 and time.monotonic() + pause < deadline
            if not (useful and in_time and failure.safe_to_repeat):
                # Not in an except clause: an exception of the parser, which may quote the
                # response, would become its context.
                raise failure
            self._pause(pause)
            left, pause = left - 1, 2 * pause

    def _try(
        self,
        kind: object,
        method: str,
        target: str,
        data: Optional[bytes],
        key: Optional[str],
        deadline: float,
    ) -> Tuple[Any, Optional[_Failure]]:
        """Send a request once; return the result and None, or None and the failure."""
        sock, sent, broken = None, False, False  # type: Optional[socket.socket], bool, bool
        try:
            sock = self._connect(deadline)
            wire, sent = _Wire(sock, deadline), True
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.sock = wire
            try:
                connection.request(method, target, data, self._headers(data, key))
            except ConnectionError:
                pass  # the server may have responded before it closed the connection
            response, body = _receive(wire, method)
            refusal = self._refusal(response, body)
            if refusal is not None:
                return None, refusal
            value = _result(kind, response.status, body)
            if key is not None:
                self._honours_keys = response.headers.get("Idempotency-Status") in (
                    "stored",
                    "replayed",
                )
            return value, None
        except Exception as err:  # http.client may raise anything for a strange response
            problem = _explain(err, self._timeout)
            broken = sent and isinstance(err, (OSError, http.client.IncompleteRead))
        finally:
            if sock is not None:
                sock.close()
        return None, NoAnswer("%s: %s" % (self._url, problem), not sent, broken)

    def _headers(self, data: Optional[bytes], key: Optional[str]) -> Dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        if data is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = '"%s"' % key.replace("\\", "\\\\").replace('"', '\\"')
        return headers

    def _connect(self, deadline: float) -> socket.socket:
        """Return a connection to the first address that accepts one, over TLS for https."""
        problem = OSError("no address")  # type: Exception
        port = self._port or (80 if self._tls is None else 443)
        for family, kind, number, _, address in socket.getaddrinfo(
            self._host, port, 0, socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, number)
            try:
                sock.settimeout(_left(deadline))
                sock.connect(address)
                if self._tls is None:
                    return sock
                sock.settimeout(_left(deadline))
                return self._tls.wrap_socket(sock, server_hostname=self._host)
            except (OSError, ValueError) as err:  # Python 3.6 has a ValueError for certificates
                sock.close()
                problem = err
        raise problem

    def _refusal(self, response: http.client.HTTPResponse, text: bytes) -> Optional[ApiError]:
        """Return the API's error; return None for a result, and for errors of others."""
        if not 400 <= response.status < 600:
            return None
        body = _load(text)
        if not isinstance(body, dict) or not isinstance(body.get("message"), str):
            return None
        message, explain, detail = [
            self._clean(body[name]) if isinstance(body.get(name), str) else ""
            for name in ("message", "explain", "detail")
        ]
        seconds = response.headers.get("Retry-After") or ""
        retry_after = int(seconds) if re.match(r"[0-9]{1,6}\Z", seconds) else None
        return ApiError(response.status, message, explain, detail, retry_after)

    def _clean(self, text: str) -> str:
        """Return a text of the server without secrets and control characters, cut to its limit."""
        for secret in self._secrets:
            text = text.replace(secret, "<redacted>")
        return "".join(char if char.isprintable() else " " for char in text[:MAX_TEXT])

    # -- the cluster -------------------------------------------------------------

    get_version = _get(int, "/version", "Return the version of the API, 2.")
    get_resources = _get([dict], "/2", "Return the resources as ``[{name, uri}]``.")
    get_info = _get(dict, "/2/info", "Return the configuration and versions of the cluster.")
    get_operating_systems = _get(
        [str], "/2/os", "Return the OS names that can be installed, as ``name+variant``."
    )
    modify_cluster = _put("/2/modify", "Change fields of OP_CLUSTER_SET_PARAMS.")
    redistribute_config = _put("/2/redistribute-config", "Write the configuration to all nodes.")
    get_tags = _get([str], "/2/tags", "Return the tags of the cluster.")
    add_tags = _put("/2/tags", "Add tags to the cluster.", "tags")
    delete_tags = _delete("/2/tags", "Remove tags from the cluster.", "tags")

    def get_features(self) -> List[str]:
        """Return the names of optional features; an empty list from an API without the resource."""
        try:
            return list(self._send([str], "GET", "/2/features"))
        except ApiError as err:
            if err.code == 404:
                return []
            raise

    def query(
        self, kind: str, fields: Iterable[str], qfilter: Optional[Iterable[object]] = None
    ) -> _Object:
        """Return fields of all objects of a kind as ``{"fields", "data"}``.

        Each cell of ``data`` is ``[status, value]``.
        """
        return dict(
            self._send(
                {"fields": list, "data": list},
                "PUT",
                "/2/query/" + _quote(kind),
                body={"fields": list(fields), "qfilter": qfilter},
                reads=True,
            )
        )

    def query_fields(self, kind: str, fields: Optional[Iterable[str]] = None) -> _Object:
        """Return the known fields of a kind as ``{"fields": [{"name", "title", ...}]}``."""
        words = None if fields is None else ",".join(fields)
        return dict(
            self._send(
                {"fields": list}, "GET", "/2/query/%s/fields" % _quote(kind), [("fields", words)]
            )
        )

    # -- nodes, groups and networks ------------------------------------------------

    get_nodes = _names(
        "/2/nodes", "id", "Return the names of the nodes, or with ``bulk`` all fields of each."
    )
    get_node = _get(dict, _NODE, "Return all fields of a node.")
    get_node_role = _get(
        str,
        _NODE + "/role",
        "Return the role: master, master-candidate, regular, drained or offline.",
    )
    modify_node = _post(_NODE + "/modify", "Change fields of OP_NODE_SET_PARAMS.")
    evacuate_node = _post(
        _NODE + "/evacuate",
        "Move instances off a node; ``mode`` is primary-only, secondary-only or all.",
        "mode",
    )
    migrate_node = _post(_NODE + "/migrate", "Migrate all instances whose primary node this is.")
    powercycle_node = _post(
        _NODE + "/powercycle", "Switch a node off and on again.", query=("force",)
    )
    get_node_tags = _get([str], _NODE + "/tags", "Return the tags of a node.")
    add_node_tags = _put(_NODE + "/tags", "Add tags to a node.", "tags")
    delete_node_tags = _delete(_NODE + "/tags", "Remove tags from a node.", "tags")

    def set_node_role(self, node: str, role: str, force: Optional[bool] = None) -> int:
        """Give a node another role; it cannot become master this way."""
        return self._change("PUT", "/2/nodes/%s/role" % _quote(node), [("force", force)], role)

    get_groups = _names(
        "/2/groups", "name", "Return the names of the groups, or with ``bulk`` all fields of each."
    )
    get_group = _get(dict, _GROUP, "Return all fields of a node group.")
    create_group = _post("/2/groups", "Create a group without nodes.", "group:group_name")
    modify_group = _put(_GROUP + "/modify", "Change fields of OP_GROUP_SET_PARAMS.")
    rename_group = _put(_GROUP + "/rename", "Rename a group.", "new_name")
    delete_group = _delete(_GROUP, "Remove a group that has no nodes.")
    assign_nodes = _put(
        _GROUP + "/assign-nodes", "Move nodes to a group.", "nodes", query=("force",)
    )

    get_networks = _names(
        "/2/networks",
        "name",
        "Return the names of the networks, or with ``bulk`` all fields of each.",
    )
    get_network = _get(dict, _NETWORK, "Return all fields of a network.")
    create_network = _post(
        "/2/networks",
        "Create a network of IPv4 addresses, like ``192.0.2.0/24``.",
        "network:network_name",
        "addresses:network",
    )
    modify_network = _put(_NETWORK + "/modify", "Change fields of OP_NETWORK_SET_PARAMS.")
    delete_network = _delete(_NETWORK, "Remove a network that no group is connected to.")
    connect_network = _put(
        _NETWORK + "/connect",
        "Connect the nodes of a group to a network.",
        "group:group_name",
        "mode:network_mode",
        "link:network_link",
    )
    disconnect_network = _put(
        _NETWORK + "/disconnect",
        "Disconnect the nodes of a group from a network.",
        "group:group_name",
    )

    # -- instances -----------------------------------------------------------------

    get_instances = _names(
        "/2/instances",
        "id",
        "Return the names of the instances, or with ``bulk`` all fields of each.",
    )
    get_instance = _get(dict, _INSTANCE, "Return all fields of an instance.")
    get_instance_details = _get(
        int,
        _INSTANCE + "/info",
        "Submit a job whose result describes an instance; with ``static`` no node is asked.",
        "static",
    )
    get_console = _get(
        dict, _INSTANCE + "/console", "Return how to reach the console of a running instance."
    )
    get_instance_tags = _get([str], _INSTANCE + "/tags", "Return the tags of an instance.")
    add_instance_tags = _put(_INSTANCE + "/tags", "Add tags to an instance.", "tags")
    delete_instance_tags = _delete(_INSTANCE + "/tags", "Remove tags from an instance.", "tags")

    def create_instance(
        self,
        name: str,
        disk_template: str,
        disks: List[_Object],
        nics: List[_Object],
        *,
        mode: str = "create",
        **words: object,
    ) -> int:
        """Create an instance; ``words`` are fields of OP_INSTANCE_CREATE.

        A disk is ``{"size": MiB or "1G"}``. A NIC may have ``mac``, ``ip``, ``mode`` and ``link``.
        """
        return int(
            self._create(
                __version__=1,
                instance_name=name,
                mode=mode,
                disks=disks,
                disk_template=disk_template,
                nics=nics,
                **words,
            )
        )

    _create = _post("/2/instances", "")
    create_instances = _post(
        "/2/instances-multi-alloc",
        "Create several instances, each described by the fields of OP_INSTANCE_CREATE.",
        "instances",
    )
    delete_instance = _delete(_INSTANCE, "Stop an instance, and remove it and its disks.")
    start_instance = _put(
        _INSTANCE + "/startup", "Start an instance.", query=("force", "no_remember")
    )
    stop_instance = _put(
        _INSTANCE + "/shutdown",
        "Stop an instance; after ``timeout`` seconds it is stopped by force.",
        query=("no_remember",),
    )
    reboot_instance = _post(
        _INSTANCE + "/reboot",
        "Reboot an instance; ``kind`` is hard, soft or full.",
        query=("kind:type", "ignore_secondaries"),
    )
    reinstall_instance = _post(
        _INSTANCE + "/reinstall",
        "Stop an instance, install its OS or another one, and start it unless ``start`` is false.",
        optional=("os", "start", "osparams"),
    )
    modify_instance = _put(_INSTANCE + "/modify", "Change fields of OP_INSTANCE_SET_PARAMS.")
    rename_instance = _put(_INSTANCE + "/rename", "Rename an instance.", "new_name")
    migrate_instance = _put(
        _INSTANCE + "/migrate", "Move an instance, which may be running, to its secondary node."
    )
    failover_instance = _put(
        _INSTANCE + "/failover", "Stop an instance and start it on its secondary node."
    )
    activate_disks = _put(
        _INSTANCE + "/activate-disks", "Make the disks of a stopped instance available on its node."
    )
    deactivate_disks = _put(_INSTANCE + "/deactivate-disks", "Revert ``activate_disks``.")
    grow_disk = _post(_INSTANCE + "/disk/{disk}/grow", "Add ``amount`` MiB to a disk.", "amount")
    replace_disks = _post(
        _INSTANCE + "/replace-disks", "Replace mirrored disks of an instance.", "mode"
    )
    recreate_disks = _post(_INSTANCE + "/recreate-disks", "Create lost disks again, empty.")
    prepare_export = _put(
        _INSTANCE + "/prepare-export",
        "Submit a job whose result has the arguments of ``export_instance``.",
        "mode",
    )
    export_instance = _put(
        _INSTANCE + "/export",
        "Export an instance to a node or to another cluster.",
        "destination",
    )

    # -- job filters ------------------------------------------------------------------

    get_filters = _get([dict], "/2/filters?bulk=1", "Return all job filters with their fields.")

    def put_filter(self, uuid: Optional[str] = None, **rule: object) -> str:
        """Create a job filter, or replace the one with this uuid; return its uuid.

        ``rule`` has priority, predicates, action and reason.
        """
        method, path = ("POST", "") if uuid is None else ("PUT", "/" + _quote(uuid))
        return str(self._send(str, method, "/2/filters" + path, body=rule))

    def delete_filter(self, uuid: str) -> None:
        """Remove the job filter with this uuid."""
        self.request("DELETE", "/2/filters/" + _quote(uuid))

    # -- jobs ------------------------------------------------------------------------

    def get_jobs(
        self,
        bulk: bool = False,
        *,
        status: Optional[Iterable[str]] = None,
        since: Optional[float] = None,
        **words: object,
    ) -> List[Any]:
        """Return the numbers of the jobs, or with ``bulk`` all fields except log and results.

        ``status`` selects jobs with one of these statuses, ``since`` those received at this time
        (seconds since 1970) or later, and ``after`` those with a larger number. ``archived``
        includes archived jobs. ``order`` is "asc" or "desc", and ``limit`` the largest number of
        jobs to return.
        """
        query = dict(
            words,
            bulk=bulk or None,
            status=None if status is None else ",".join(status),
            since=None if since is None else "%.6f" % since,
        )
        jobs = self._send([{"id": int}], "GET", "/2/jobs", query.items())
        return list(jobs) if bulk else [int(job["id"]) for job in jobs]

    def get_job(self, job: int) -> _Object:
        """Return all fields of a job, including its log and results."""
        return dict(self._send({"status": str}, "GET", "/2/jobs/" + _quote(job)))

    def cancel_job(self, job: int) -> Tuple[bool, str]:
        """Cancel a job; return whether that was possible, and a text about it."""
        done, text = self._send((bool, str), "DELETE", "/2/jobs/" + _quote(job))
        return done, text

    def wait_for_job(
        self,
        job: int,
        timeout: Optional[float] = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> _Object:
        """Wait until a job has ended; return the result of ``get_job``.

        Polls at growing intervals of up to two seconds. Raises ``JobError`` if the job did not
        succeed, and ``TimeoutError`` after ``timeout`` seconds.
        """
        step, waited = 0.05, 0.0
        while True:
            found = self.get_job(job)
            if found["status"] == "success":
                return found
            if found["status"] in FINAL:
                raise JobError(found, self._clean)
            if timeout is not None and waited >= timeout:
                raise TimeoutError(self._clean("job %d is still %s" % (job, found["status"])))
            pause(step)
            waited += step
            step = min(step * 1.5, 2.0)


def _quote(name: object) -> str:
    return urllib.parse.quote(str(name), safe="")


def _read_url(url: str) -> Optional[urllib.parse.SplitResult]:
    """Return the parts of the API's URL, or None if it is not valid."""
    if not re.match(r"https?://[!-~]+\Z", url, re.IGNORECASE):
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        usable = bool((parts.hostname or "").encode("idna")) and (parts.port or 1) > 0
    except ValueError:
        return None
    # A password that is not percent-encoded may have become the path or the query.
    if parts.query or parts.fragment or re.search("[@?#]", parts.path):
        return None
    return parts if usable else None


def _receive(wire: _Wire, method: str) -> Tuple[http.client.HTTPResponse, bytes]:
    """Read a response; return it and its whole body."""
    for _ in range(MAX_INTERIM):
        response = http.client.HTTPResponse(wire, method=method)  # type: ignore[arg-type]
        response.begin()
        if response.status >= 200:
            break
        response.fp = None  # type: ignore[assignment]  # else it would close the reader
    else:
        raise _Wrong("it sends no final response")
    lengths = set(response.headers.get_all("Content-Length") or [])
    codings = ",".join(response.headers.get_all("Transfer-Encoding") or ["chunked"])
    valid = all(re.match(r"[0-9]{1,18}\Z", length) for length in lengths)
    if codings.lower() != "chunked" or len(lengths) > 1 or not valid:
        raise _Wrong("the length of its response is ambiguous")
    if (response.headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise _Wrong("its response is compressed, though the request did not allow that")
    wire.room += MAX_ANSWER
    parts = []  # type: List[bytes]
    while not parts or parts[-1]:
        parts.append(response.read(64 * 1024))
    if response.length:  # the bytes of the announced length that did not arrive
        raise http.client.IncompleteRead(b"")
    return response, b"".join(parts)


def _result(kind: object, status: int, body: bytes) -> Any:
    """Return the JSON value of a response; raise ``_Wrong`` if it does not fit ``kind``."""
    if 300 <= status < 400:
        raise _Wrong(
            "it responds with a redirect (HTTP status %d), which is not followed: give "
            "the URL of the API itself" % status
        )
    if not 200 <= status < 300:
        raise _Wrong("it responds with HTTP status %d, but not as the API would" % status)
    if status == 204 and kind is object:
        return None
    value = _load(body)
    if value is _JUNK:
        raise _Wrong("its response is not JSON")
    problem = _misfit(value, kind)
    if problem:
        raise _Wrong(problem)
    return value


def _explain(err: Exception, timeout: float) -> str:
    """Return what went wrong, in our own words: those of the server may contain anything."""
    if isinstance(err, _Wrong):
        return str(err)
    if isinstance(err, socket.timeout):
        return "there was no complete response within %g seconds" % timeout
    reason = getattr(err, "reason", None)
    if isinstance(err, ssl.CertificateError) or reason == "CERTIFICATE_VERIFY_FAILED":
        return "its certificate is not trusted (%s): give the right one as ca_file" % getattr(
            err, "verify_message", "it is for another host, or unknown"
        )
    if isinstance(err, ssl.SSLError):
        return "TLS failed (%s)" % str(reason or "no reason given").replace("_", " ").lower()
    if isinstance(err, http.client.IncompleteRead):
        return "its response is cut off"
    if isinstance(err, OSError):  # RemoteDisconnected, for one, has no strerror
        return err.strerror or "it closed the connection without a response"
    return "its response is not HTTP"


def _number(make: Callable[[str], Optional[float]]) -> Callable[[str], float]:
    """Return ``make`` with a limit on the digits; it raises ``ValueError`` for no finite number."""

    def read(digits: str) -> float:
        value = make(digits) if len(digits) <= MAX_DIGITS else None
        if value is None or value in (float("inf"), float("-inf")):
            raise ValueError
        return value

    return read


_JSON = json.JSONDecoder(
    parse_int=_number(int), parse_float=_number(float), parse_constant=_number(lambda name: None)
)
_JUNK = object()
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "an integer",
    bool: "true or false",
    float: "a number",
    type(None): "null",
}


def _load(body: bytes) -> Any:
    """Return the value of a JSON text, or ``_JUNK`` if it is not valid JSON."""
    try:
        return _JSON.decode(body.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError):
        return _JUNK


def _misfit(value: Any, kind: object) -> str:
    """Return what is wrong with a value; "" if it fits its kind.

    A kind is a type, ``[kind]`` for a list of such values, ``(kind, kind)`` for a list of two, or
    ``{name: kind}`` for an object with these members.
    """
    wanted = list  # type: type
    if isinstance(kind, type):
        wanted = kind
    elif isinstance(kind, dict):
        wanted = dict
    if wanted is int and isinstance(value, str) and re.match(r"[0-9]{1,18}\Z", value):
        return ""  # the number of a job is a string before Ganeti 2.7
    fits = isinstance(value, wanted)
    if wanted is int and isinstance(value, bool):  # a subclass of int
        fits = False
    if not fits:
        return "its response is %s instead of %s" % (_KINDS[type(value)], _KINDS[wanted])
    parts = []  # type: List[Tuple[object, object]]
    if isinstance(kind, list):
        parts = [(part, kind[0]) for part in value]
    elif isinstance(kind, tuple):
        parts = list(zip(value, kind)) if len(value) == len(kind) else [(None, list)]
    elif isinstance(kind, dict):
        parts = [(value.get(name), its_kind) for name, its_kind in kind.items()]
    for part, its_kind in parts:
        problem = _misfit(part, its_kind)
        if problem:
            return problem
    return ""
