"""A client of the Ganeti remote API in one file.

Copy it wherever it is needed: it imports nothing but the standard library of
Python 3.6 or later. ::

    from client import GanetiClient

    client = GanetiClient("https://cluster.example.com:5080", "admin", "secret",
                          ca_file="/etc/ssl/cluster.pem")
    print(client.get_info()["software_version"])
    job = client.create_instance("web.example.com", disk_template="file", os_type="noop",
                                 disks=[{"size": "1G"}], nics=[{}])
    client.wait_for_job(job)        # raises JobError when it fails
    for instance in client.get_instances(bulk=True):
        print(instance["name"], instance["status"])

Methods that change something return the number of a job, and take these words:
``dry_run`` (check, change nothing), ``reason`` (a text that the job shows),
``idempotency_key``, ``depends`` (``[[job, ["success"]], ...]``), ``priority`` (-10, 0 or 10),
``comment``, and the fields of the opcode. One client may be used by many threads; each request
has a connection of its own.

A call ends within ``timeout`` seconds: with its result, with ``ApiError`` if the API refused, or
with ``NoAnswer`` for whatever else came or did not come. Redirects are not followed, proxies are
not used, and no text of an exception has the password in it.

A request whose connection breaks is sent again where that cannot do anything twice: a read, or a
change whose idempotency key the server honours (our front on our own master does). If you give
the key, a text of 1 to 255 characters that is new for each change, the server is taken to honour
it; else each change has a key of the client's, which counts once an answer has said so.
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

#: Bytes of an answer that are read at most, and of what comes before its body.
MAX_ANSWER = 64 * 1024 * 1024
MAX_HEAD = 256 * 1024
#: Answers of status 1xx that may come before the one that counts.
MAX_INTERIM = 10
#: Seconds before the first retry; each later one waits twice as long.
PAUSE = 0.2
#: Digits of a number that are read, and characters of a text that an exception quotes.
MAX_DIGITS, MAX_TEXT = 400, 2000

_Words = Iterable[Tuple[str, Any]]


class _Failure(Exception):
    """What ``ApiError`` and ``NoAnswer`` know beside their text."""

    #: The idempotency key that the request had.
    key = None  # type: Optional[str]
    #: Is it certain that the same call, with this key, does nothing twice?
    safe_to_repeat = False

    def __init__(self, text: str, harmless: bool = False, unclear: bool = False) -> None:
        super().__init__(text)
        #: Is it certain that the request did nothing? Is it worth finding out by another try?
        self._harmless, self._unclear = harmless, unclear


class NoAnswer(_Failure):
    """The API cannot be reached, or what answers does not answer as the API would."""


class ApiError(_Failure):
    """The API refused: ``code`` is the HTTP status, ``message`` what was wrong.

    ``retry_after`` is in seconds, if the API said when to try again.
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
    """A job did not succeed; ``job`` is what ``get_job`` showed in the end."""

    def __init__(self, job: Dict[str, Any], clean: Callable[[str], str] = str) -> None:
        self.job = job
        super().__init__(
            clean("job %s ended in %s: %s" % (job.get("id"), job.get("status"), self._reason(job)))
        )

    @staticmethod
    def _reason(job: Dict[str, Any]) -> str:
        statuses, results = job.get("opstatus"), job.get("opresult")
        if not isinstance(statuses, list) or not isinstance(results, list):
            return ""
        failed = next(
            (result for status, result in zip(statuses, results) if status != "success"), ""
        )
        if _misfit(failed, (str, [object])) or not failed[1]:
            return str(failed)
        return str(failed[1][0])


class _Wrong(Exception):
    """An answer that makes no sense; the text is ours."""


class _Wire(io.RawIOBase):
    """What ``http.client`` needs of a socket. The deadline is that of the whole call, however
    little comes at a time; ``room`` is how many bytes may still come."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline
        self._reader = io.BufferedReader(self)
        self.room = MAX_HEAD

    def makefile(self, *_: Any) -> Any:
        """Return the one reader: answers of status 1xx come before another."""
        return self._reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self.room -= count
        if self.room < 0:
            raise _Wrong("its answer is too long")
        return count

    def sendall(self, data: bytes) -> None:
        """Send everything before the deadline."""
        while data:
            self._sock.settimeout(_left(self._deadline))
            data = data[self._sock.send(data) :]


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise socket.timeout()
    return seconds


def _method(
    kind: Any,
    verb: str,
    path: str,
    doc: str,
    *fields: str,
    query: Tuple[str, ...] = (),
    optional: Tuple[str, ...] = (),
) -> Callable[..., Any]:
    """Make a method of the client, whose result fits ``kind`` (see ``_misfit``).

    It takes the names in ``path``, then the ``fields`` of the body, then words of the ``query``
    and ``optional`` fields; whatever else it is given goes into the body. ``name:key``: it is
    ``key`` on the wire.
    """
    slots = re.findall(r"{(\w+)}", path)
    known = {
        name.split(":")[0]: name.split(":")[-1] for name in (*slots, *fields, *query, *optional)
    }
    needed = len(slots) + len(fields)
    asked = [name.split(":")[0] for name in query] + ["dry_run", "reason"] * (verb != "GET")

    def call(self: "GanetiClient", *values: Any, **words: Any) -> Any:
        given = dict(zip(known, values))
        if (
            len(values) > len(known)
            or set(given) & set(words)
            or not set(list(known)[:needed]) <= {*given, *words}
            or verb == "GET"
            and not set(words) <= set(known)
        ):
            raise TypeError("the method is %s" % (call.__doc__ or "").partition("\n")[0])
        given.update(words)
        target = path.format(**{slot: _quote(given.pop(slot)) for slot in slots})
        # Tags go into the query, where every version of Ganeti reads them.
        pairs = [("tag", tag) for tag in (given.pop("tags") if "tags" in fields else ())]
        pairs += [
            (known.get(name, name.replace("dry_", "dry-")), given.pop(name, None)) for name in asked
        ]
        if verb == "GET":
            return self._send(kind, verb, target, pairs)
        key = given.pop("idempotency_key", None)
        return self._change(
            verb,
            target,
            pairs,
            {
                known.get(name, name): value
                for name, value in given.items()
                if value is not None or name not in optional
            }
            or None,
            key,
        )

    call.__doc__ = "(%s)\n\n%s" % (
        ", ".join(
            [name if index < needed else name + "=None" for index, name in enumerate(known)]
            + ["**words"] * (verb != "GET")
        ),
        doc,
    )
    return call


def _get(kind: Any, path: str, doc: str, *query: str) -> Callable[..., Any]:
    return _method(kind, "GET", path, doc, query=query)


def _names(path: str, member: str, doc: str) -> Callable[..., List[Any]]:
    """Make a method that lists things: all about each, or only the name, their ``member``."""

    def call(self: "GanetiClient", bulk: bool = False) -> List[Any]:
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
    """Talks to one cluster.

    ``url`` is where the API is (``https://cluster.example.com:5080``; a user and a password in it
    count as if they were given beside it); ``ca_file`` holds the certificate to trust, instead of
    those of the system. ``timeout`` is in seconds, for each call with all its tries: one, and
    ``retries`` more. Raises ``ValueError`` for arguments that make no sense.
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
        if parts is None:  # the text does not quote what may hold a password
            raise ValueError(
                "the URL must be like https://cluster.example.com:5080, and a user "
                "and a password in it percent-encoded"
            )
        self._host, self._port = parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/")
        self._url = "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], self._base)
        self._timeout, self._retries = timeout, retries
        self._pause = time.sleep  # type: Callable[[float], object]
        #: Does the server honour idempotency keys? None: not known yet.
        self._honours_keys = None  # type: Optional[bool]
        if not user and parts.username:
            user = urllib.parse.unquote(parts.username)
            password = urllib.parse.unquote(parts.password or "")
        if ":" in user:
            raise ValueError("the name of a user cannot have a colon")
        token = base64.b64encode(("%s:%s" % (user, password)).encode("utf-8")).decode("ascii")
        self._authorization = "Basic " + token if user else ""
        #: Texts that no exception may have in it; shorter ones would be found everywhere.
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
        body: Any = None,
        idempotency_key: Optional[str] = None,
    ) -> Any:
        """Send one request and return the JSON that answers it.

        ``path`` is quoted already. Words of the query that are None are left out; True and False
        become 1 and 0. Raises ``ApiError`` or ``NoAnswer``.
        """
        return self._send(object, method, path, query, body, idempotency_key)

    def _change(
        self,
        method: str,
        target: str,
        query: _Words = (),
        body: Any = None,
        key: Optional[str] = None,
    ) -> int:
        """Submit a job and return its number."""
        return int(
            self._send(int, method, target, query, body, key or uuid.uuid4().hex, own_key=not key)
        )

    def _send(
        self,
        kind: Any,
        method: str,
        path: str,
        query: _Words = (),
        body: Any = None,
        key: Optional[str] = None,
        own_key: bool = False,
        reads: bool = False,
    ) -> Any:
        """Send a request, again if need be, and return the result, which fits ``kind``.

        ``own_key``: the key is not the caller's; ``reads``: nothing is changed.
        """
        words = [
            (name, int(value) if isinstance(value, bool) else value)
            for name, value in query
            if value is not None
        ]
        target = self._base + path + ("?" + urllib.parse.urlencode(words) if words else "")
        data = None if body is None else json.dumps(body).encode("ascii")
        if not re.match(r"[A-Z]+ /[!-~]*\Z", "%s %s" % (method, target)):
            raise ValueError("the method must be in capitals, and the path quoted")
        if key is not None and not re.match(r"[ -~]{1,255}\Z", key):
            raise ValueError("an idempotency key has 1 to 255 characters of ASCII")
        reads = reads or method in ("GET", "HEAD", "OPTIONS")
        deadline = time.monotonic() + self._timeout
        pause, left = PAUSE, self._retries
        while True:
            value, failure = self._try(kind, method, target, data, key, deadline)
            if failure is None:
                return value
            known = self._honours_keys
            failure.key = key
            failure.safe_to_repeat = bool(
                reads
                or failure._harmless
                or key is not None
                and (known or known is None and not own_key)
            )
            again = failure._unclear and not (reads and isinstance(failure, ApiError))
            if (
                not again
                or not failure.safe_to_repeat
                or left <= 0
                or time.monotonic() + pause >= deadline
            ):
                # Not in an except clause, so that nothing of a foreign answer is its context.
                raise failure
            self._pause(pause)
            left, pause = left - 1, 2 * pause

    def _try(
        self,
        kind: Any,
        method: str,
        target: str,
        data: Optional[bytes],
        key: Optional[str],
        deadline: float,
    ) -> Tuple[Any, Optional[_Failure]]:
        """Send a request once and return (result, what went wrong)."""
        sock, sent, broken = None, False, False  # type: Optional[socket.socket], bool, bool
        try:
            sock = self._connect(deadline)
            wire, sent = _Wire(sock, deadline), True
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.sock = wire
            try:
                connection.request(method, target, data, self._headers(data, key))
            except ConnectionError:
                pass  # it may have answered before it hung up
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
        except Exception as err:  # whatever a foreign answer makes of the parser
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
        """Return a connection to the first address that accepts one, with TLS if wanted."""
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
            except (OSError, ValueError) as err:  # of Python 3.6: a certificate's ValueError
                sock.close()
                problem = err
        raise problem

    def _refusal(self, response: http.client.HTTPResponse, text: bytes) -> Optional[ApiError]:
        """Return the error that the API answered, or None if it is not one of the API."""
        if not 400 <= response.status < 600:
            return None
        body = _load(text)
        if not isinstance(body, dict) or not isinstance(body.get("message"), str):
            return None
        message, explain, detail = (
            self._clean(body[name]) if isinstance(body.get(name), str) else ""
            for name in ("message", "explain", "detail")
        )
        later = response.headers.get("Retry-After") or ""
        return ApiError(
            response.status,
            message,
            explain,
            detail,
            int(later) if re.match(r"[0-9]{1,6}\Z", later) else None,
        )

    def _clean(self, text: str) -> str:
        """Return a foreign text without secrets and control characters, for an exception."""
        for secret in self._secrets:
            text = text.replace(secret, "<redacted>")
        return "".join(char if char.isprintable() else " " for char in text[:MAX_TEXT])

    # -- the cluster -------------------------------------------------------------

    get_version = _get(int, "/version", "Version of the API: 2.")
    get_resources = _get([dict], "/2", "What there is: ``[{name, uri}]``.")
    get_info = _get(dict, "/2/info", "Everything about the cluster.")
    get_operating_systems = _get([str], "/2/os", "What can be installed: ``name+variant``.")
    modify_cluster = _put("/2/modify", "Change fields of OP_CLUSTER_SET_PARAMS.")
    redistribute_config = _put("/2/redistribute-config", "Write the configuration to all nodes.")
    get_tags = _get([str], "/2/tags", "Tags of the cluster.")
    add_tags = _put("/2/tags", "Tag the cluster.", "tags")
    delete_tags = _delete("/2/tags", "Remove tags of the cluster.", "tags")

    def get_features(self) -> List[str]:
        """What this API can do; nothing for one that is too old to be asked."""
        try:
            return list(self._send([str], "GET", "/2/features"))
        except ApiError as err:
            if err.code == 404:
                return []
            raise

    def query(
        self, kind: str, fields: Iterable[str], qfilter: Optional[List[Any]] = None
    ) -> Dict[str, Any]:
        """Any fields of all things of a kind: ``{"fields", "data"}``, cells ``[status, value]``."""
        return dict(
            self._send(
                {"fields": list, "data": list},
                "PUT",
                "/2/query/" + _quote(kind),
                body={"fields": list(fields), "qfilter": qfilter},
                reads=True,
            )
        )

    def query_fields(self, kind: str, fields: Optional[Iterable[str]] = None) -> Dict[str, Any]:
        """Which fields there are of a kind: ``{"fields": [{"name", "title", ...}]}``."""
        words = None if fields is None else ",".join(fields)
        return dict(
            self._send(
                {"fields": list}, "GET", "/2/query/%s/fields" % _quote(kind), [("fields", words)]
            )
        )

    # -- nodes, groups and networks ------------------------------------------------

    get_nodes = _names("/2/nodes", "id", "Names of the nodes; with ``bulk`` all about each.")
    get_node = _get(dict, _NODE, "All about one node.")
    get_node_role = _get(str, _NODE + "/role", "Role: master, master-candidate, regular, ...")
    modify_node = _post(_NODE + "/modify", "Change fields of OP_NODE_SET_PARAMS.")
    evacuate_node = _post(
        _NODE + "/evacuate",
        "Move instances off a node: primary-only, secondary-only or all.",
        "mode",
    )
    migrate_node = _post(_NODE + "/migrate", "Migrate every instance whose primary node it is.")
    powercycle_node = _post(_NODE + "/powercycle", "Switch it off and on again.", query=("force",))
    get_node_tags = _get([str], _NODE + "/tags", "Tags of a node.")
    add_node_tags = _put(_NODE + "/tags", "Tag a node.", "tags")
    delete_node_tags = _delete(_NODE + "/tags", "Remove tags of a node.", "tags")

    def set_node_role(self, node: str, role: str, force: Optional[bool] = None) -> int:
        """Give a node another role, but for master."""
        return self._change("PUT", "/2/nodes/%s/role" % _quote(node), [("force", force)], role)

    get_groups = _names("/2/groups", "name", "Names of the groups; with ``bulk`` all about each.")
    get_group = _get(dict, _GROUP, "All about one node group.")
    create_group = _post("/2/groups", "Make a group without nodes.", "group:group_name")
    modify_group = _put(_GROUP + "/modify", "Change a group.")
    rename_group = _put(_GROUP + "/rename", "Give a group another name.", "new_name")
    delete_group = _delete(_GROUP, "Remove a group that has no nodes.")
    assign_nodes = _put(_GROUP + "/assign-nodes", "Put nodes there.", "nodes", query=("force",))

    get_networks = _names("/2/networks", "name", "Names of the networks; or all about each.")
    get_network = _get(dict, _NETWORK, "All about one network.")
    create_network = _post(
        "/2/networks",
        "Make a network of IPv4 addresses: ``192.0.2.0/24``.",
        "network:network_name",
        "addresses:network",
    )
    modify_network = _put(_NETWORK + "/modify", "Change a network.")
    delete_network = _delete(_NETWORK, "Remove a network that no group is connected to.")
    connect_network = _put(
        _NETWORK + "/connect",
        "Have the nodes of a group reach a network.",
        "group:group_name",
        "mode:network_mode",
        "link:network_link",
    )
    disconnect_network = _put(_NETWORK + "/disconnect", "Undo that.", "group:group_name")

    # -- instances -----------------------------------------------------------------

    get_instances = _names("/2/instances", "id", "Names of the instances; or all about each.")
    get_instance = _get(dict, _INSTANCE, "All about one instance.")
    get_instance_details = _get(
        int,
        _INSTANCE + "/info",
        "A job whose result has all about an instance; ``static`` asks no node.",
        "static",
    )
    get_console = _get(dict, _INSTANCE + "/console", "How to reach a running one's console.")
    get_instance_tags = _get([str], _INSTANCE + "/tags", "Tags of an instance.")
    add_instance_tags = _put(_INSTANCE + "/tags", "Tag an instance.", "tags")
    delete_instance_tags = _delete(_INSTANCE + "/tags", "Remove tags of an instance.", "tags")

    def create_instance(
        self,
        name: str,
        disk_template: str,
        disks: List[Dict[str, Any]],
        nics: List[Dict[str, Any]],
        *,
        mode: str = "create",
        **words: Any,
    ) -> int:
        """Create an instance; ``words`` are fields of OP_INSTANCE_CREATE.

        Disks are ``{"size": MiB or "1G"}``, NICs ``{"mac", "ip", "mode", "link"}``, all
        of which may be left out.
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
        "Create many: each as the body of one, without ``__version__``.",
        "instances",
    )
    delete_instance = _delete(_INSTANCE, "Stop an instance and remove it with its disks.")
    start_instance = _put(
        _INSTANCE + "/startup", "Start an instance.", query=("force", "no_remember")
    )
    stop_instance = _put(
        _INSTANCE + "/shutdown",
        "Stop an instance; ``timeout`` is how many seconds it may take by itself.",
        query=("no_remember",),
    )
    reboot_instance = _post(
        _INSTANCE + "/reboot",
        "Reboot an instance: hard, soft or full.",
        query=("kind:type", "ignore_secondaries"),
    )
    reinstall_instance = _post(
        _INSTANCE + "/reinstall",
        "Stop an instance, install its OS again "
        "(or another), and start it, unless ``start`` is false.",
        optional=("os", "start", "osparams"),
    )
    modify_instance = _put(_INSTANCE + "/modify", "Change fields of OP_INSTANCE_SET_PARAMS.")
    rename_instance = _put(_INSTANCE + "/rename", "Give an instance another name.", "new_name")
    migrate_instance = _put(_INSTANCE + "/migrate", "Move one, which may run, to its other node.")
    failover_instance = _put(_INSTANCE + "/failover", "Stop it and start it on its other node.")
    activate_disks = _put(_INSTANCE + "/activate-disks", "Make a stopped one's disks usable.")
    deactivate_disks = _put(_INSTANCE + "/deactivate-disks", "Undo ``activate_disks``.")
    grow_disk = _post(_INSTANCE + "/disk/{disk}/grow", "Add ``amount`` MiB to a disk.", "amount")
    replace_disks = _post(_INSTANCE + "/replace-disks", "Make mirrored disks anew.", "mode")
    recreate_disks = _post(_INSTANCE + "/recreate-disks", "Make lost disks anew, empty.")
    prepare_export = _put(
        _INSTANCE + "/prepare-export",
        "A job whose result is what ``export_instance`` needs.",
        "mode",
    )
    export_instance = _put(
        _INSTANCE + "/export",
        "Write the disks of an instance to a node, or to another cluster.",
        "destination",
    )

    # -- job filters ------------------------------------------------------------------

    get_filters = _get([dict], "/2/filters?bulk=1", "All rules, with all about each.")

    def put_filter(self, uuid: Optional[str] = None, **rule: Any) -> str:
        """Store a rule, or replace the one of this uuid; its uuid.

        ``rule``: priority, predicates, action and reason.
        """
        method, path = ("POST", "") if uuid is None else ("PUT", "/" + _quote(uuid))
        return str(self._send(str, method, "/2/filters" + path, body=rule))

    def delete_filter(self, uuid: str) -> None:
        """Remove a rule."""
        self.request("DELETE", "/2/filters/" + _quote(uuid))

    # -- jobs ------------------------------------------------------------------------

    def get_jobs(
        self,
        bulk: bool = False,
        *,
        status: Optional[Iterable[str]] = None,
        since: Optional[float] = None,
        **words: Any,
    ) -> List[Any]:
        """Numbers of the jobs, or with ``bulk`` all about each but log and results.

        Of those with any of these statuses, received at ``since`` (seconds since 1970) or
        later, beyond the number ``after``, in the ``order`` "asc" or "desc", at most ``limit``,
        and ``archived`` ones as well or not.
        """
        query = dict(
            words,
            bulk=bulk or None,
            status=None if status is None else ",".join(status),
            since=None if since is None else "%.6f" % since,
        )
        jobs = self._send([{"id": int}], "GET", "/2/jobs", query.items())
        return list(jobs) if bulk else [int(job["id"]) for job in jobs]

    def get_job(self, job: int) -> Dict[str, Any]:
        """All about one job."""
        return dict(self._send({"status": str}, "GET", "/2/jobs/" + _quote(job)))

    def cancel_job(self, job: int) -> Tuple[bool, str]:
        """Cancel a job: whether that was possible, and what becomes of it."""
        done, text = self._send((bool, str), "DELETE", "/2/jobs/" + _quote(job))
        return done, text

    def wait_for_job(
        self,
        job: int,
        timeout: Optional[float] = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> Dict[str, Any]:
        """Wait until a job has ended; what ``get_job`` says then.

        Asks more rarely the longer it takes, every two seconds at last. Raises
        ``JobError`` when it did not succeed, ``TimeoutError`` after ``timeout`` seconds
        of waiting.
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


def _quote(name: Any) -> str:
    return urllib.parse.quote(str(name), safe="")


def _read_url(url: str) -> Optional[urllib.parse.SplitResult]:
    """Return the parts of the API's URL, or None if it cannot be one."""
    try:
        parts = urllib.parse.urlsplit(url)
        usable = bool((parts.hostname or "").encode("idna")) and (parts.port or 1) > 0
    except ValueError:
        return None
    # In a path or a query, these may come from a password that is not quoted.
    strange = parts.query or parts.fragment or re.search("[@?#]", parts.path)
    return (
        parts
        if usable
        and not strange
        and parts.scheme in ("http", "https")
        and re.match(r"[!-~]*\Z", url)
        else None
    )


def _receive(wire: _Wire, method: str) -> Tuple[http.client.HTTPResponse, bytes]:
    """Read an answer and return it with its whole body."""
    for _ in range(MAX_INTERIM):
        response = http.client.HTTPResponse(wire, method=method)  # type: ignore[arg-type]
        response.begin()
        if response.status >= 200:
            break
        response.fp = None  # type: ignore[assignment]  # it would close the reader
    else:
        raise _Wrong("it gives no final answer")
    lengths = set(response.headers.get_all("Content-Length") or [])
    codings = ",".join(response.headers.get_all("Transfer-Encoding") or ["chunked"])
    if (
        codings.lower() != "chunked"
        or len(lengths) > 1
        or not all(re.match(r"[0-9]{1,18}\Z", length) for length in lengths)
    ):
        raise _Wrong("it does not say clearly how long its answer is")
    if (response.headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise _Wrong("its answer is compressed, which nobody asked for")
    wire.room += MAX_ANSWER
    parts = []  # type: List[bytes]
    while not parts or parts[-1]:
        parts.append(response.read(64 * 1024))
    if response.length:  # so much of what was announced did not come
        raise http.client.IncompleteRead(b"")
    return response, b"".join(parts)


def _result(kind: Any, status: int, body: bytes) -> Any:
    """Return the value of an answer; raise ``_Wrong`` if it is not what was promised."""
    if 300 <= status < 400:
        raise _Wrong(
            "it answers with a redirect (HTTP status %d), which is not followed: give "
            "the URL of the API itself" % status
        )
    if not 200 <= status < 300:
        raise _Wrong("it answers HTTP status %d, and not as the API would" % status)
    if status == 204 and kind is object:
        return None
    value = _load(body)
    if value is _JUNK:
        raise _Wrong("its answer is not JSON")
    problem = _misfit(value, kind)
    if problem:
        raise _Wrong(problem)
    return value


def _explain(err: Exception, timeout: float) -> str:
    """Say what went wrong in words of our own: those of the answer may hold anything."""
    if isinstance(err, _Wrong):
        return str(err)
    if isinstance(err, socket.timeout):
        return "there was no whole answer within %g seconds" % timeout
    reason = getattr(err, "reason", None)
    if isinstance(err, ssl.CertificateError) or reason == "CERTIFICATE_VERIFY_FAILED":
        return "its certificate is not trusted (%s): give the right one as ca_file" % getattr(
            err, "verify_message", "it is for another host, or unknown"
        )
    if isinstance(err, ssl.SSLError):
        return "TLS failed (%s)" % str(reason or "no reason given").replace("_", " ").lower()
    if isinstance(err, http.client.IncompleteRead):
        return "its answer is cut off"
    if isinstance(err, OSError):  # also RemoteDisconnected, which has no words
        return err.strerror or "it closed the connection without an answer"
    return "it does not answer in HTTP"


def _number(make: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(digits: str) -> Any:
        value = make(digits) if len(digits) <= MAX_DIGITS else None
        if value in (None, float("inf"), float("-inf")):
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
    """Return the value of a JSON text, or ``_JUNK`` if it is not JSON."""
    try:
        return _JSON.decode(body.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError):
        return _JUNK


def _misfit(value: Any, kind: Any) -> str:
    """Say what is wrong with a value; return "" if it fits its kind.

    A kind is a type; ``[kind]`` for a list of these; ``(kind, kind)`` for a list of two; or
    ``{name: kind}`` for an object that has these members.
    """
    wanted = kind  # type: Any
    if not isinstance(kind, type):
        wanted = dict if isinstance(kind, dict) else list
    if wanted is int and isinstance(value, str) and re.match(r"[0-9]{1,18}\Z", value):
        return ""  # a job's number, before Ganeti 2.7
    if not isinstance(value, wanted) or wanted is int and isinstance(value, bool):
        return "it answers %s instead of %s" % (_KINDS[type(value)], _KINDS[wanted])
    parts = []  # type: List[Tuple[Any, Any]]
    if isinstance(kind, list):
        parts = [(part, kind[0]) for part in value]
    elif isinstance(kind, tuple):
        parts = list(zip(value, kind)) if len(value) == len(kind) else [(None, list)]
    elif isinstance(kind, dict):
        parts = [(value.get(name), its_kind) for name, its_kind in kind.items()]
    return next((problem for problem in (_misfit(*part) for part in parts) if problem), "")
