"""The head of a request: its line and its fields, from bytes to a checked value.

Theory. Whoever stands in front of us (a proxy, a balancer, a log) reads the
same bytes; where two readers may differ, a request can be smuggled past one of
them. So nothing is repaired and nothing guessed: a head that RFC 9112 does not
allow is refused, also where it lets us be lenient. The checks and their order
depend on the bytes alone, never on how they arrived.

One liberty is Ganeti's: a method counts in any case of letters, as its own daemon
upper-cases it. Only HEAD changes where an answer ends, and a proxy may know no
``head``; so the connection ends after the answer to one that is not in capitals.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from ganeti.http import errors
from ganeti.http.message import TOKEN, Headers

#: Longer than any method; longer words are not read to the end.
MAX_METHOD = 32
#: What RFC 9112, 3 asks to support at least; ``?tag=`` repeated 60 times fits.
MAX_TARGET = 8 * 1024
#: Method, target, version, two spaces, CRLF.
MAX_LINE = MAX_METHOD + MAX_TARGET + 12
#: Browsers and proxies send 10 to 30 fields; each costs us time.
MAX_FIELDS = 64
#: The fields with their line ends; a client needs far less than 2 KiB.
MAX_HEADER = 16 * 1024
#: More digits cannot be meant seriously, and would cost time to read.
MAX_LENGTH_DIGITS = 12

#: Fields of which a second line could give the request a second meaning.
_SINGLE = frozenset(
    {"host", "content-length", "transfer-encoding", "content-type", "authorization", "expect"}
)
#: Fields that say where a message ends, whom it is for or from: too late in a trailer
#: (RFC 9110, 6.5.1), and whoever merges trailers would heed them.
NO_TRAILERS = _SINGLE | {"connection", "te", "trailer", "upgrade"}

_VERSION = re.compile(r"HTTP/([0-9]\.[0-9])", re.ASCII)
_TARGET = re.compile(r"[!-~]+", re.ASCII)
_ABSOLUTE = re.compile(r"(https?)://([^/?]*)(.*)", re.ASCII | re.IGNORECASE)
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])"
    r"(?::([0-9]{0,5}))?",
    re.ASCII,
)
_MAX_PORT = 65535
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ENCODED_SLASH = re.compile(r"%2f", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
#: Control characters that no line may hold: all but tab, and the line ends between lines.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Head:
    """A request but for its body.

    ``method`` is in capitals. ``version`` is "1.0" or "1.1". ``length``: bytes of the body, None
    when it comes in chunks.
    """

    method: str
    target: str
    path: str
    query: str
    version: str
    headers: Headers
    host: str
    keep_alive: bool
    length: int | None
    expects_continue: bool


def has_bare_line_end(block: bytes | bytearray) -> bool:
    """Is there a CR without LF or a LF without CR (RFC 9112, 2.2)? A CR at the end may yet
    get its LF."""
    pairs = block.count(b"\r\n")
    return block.count(b"\n") != pairs or block.count(b"\r") != pairs + block.endswith(b"\r")


def parse_head(block: bytes) -> Head:
    """A head without the empty line that ends it; raises ``HttpError``."""
    if has_bare_line_end(block) or block.endswith(b"\r"):
        raise errors.BadRequest("A line does not end with CR LF")
    if _CONTROL.search(block) is not None:
        raise errors.BadRequest("The header holds a control character")
    lines = block.decode("latin-1").split("\r\n")
    sent, target, minor = _request_line(lines[0])
    method = sent.upper()
    headers = parse_fields(lines[1:])
    version = _known_version(minor, headers)
    host = _host(headers, version)
    path, query, host = _split_target(method, target, host)
    length = _body_length(headers, version)
    keep_alive = _keep_alive(headers, version) and (method != "HEAD" or sent == method)
    return Head(
        method,
        target,
        path,
        query,
        version,
        headers,
        host,
        keep_alive,
        length,
        _expects_continue(headers, version),
    )


def _request_line(line: str) -> tuple[str, str, str]:
    """RFC 9112, 3: method SP target SP version, and nothing else; the method as it was sent."""
    words = line.split(" ")
    version = _VERSION.fullmatch(words[-1])
    if len(words) != 3 or version is None:
        raise errors.BadRequest("The request line is not METHOD TARGET HTTP/VERSION")
    if not version[1].startswith("1."):
        raise errors.HttpVersionNotSupported(f"HTTP/{version[1]} is not supported")
    method, target, _ = words
    if TOKEN.fullmatch(method) is None:
        raise errors.BadRequest("The method is not a word of letters")
    if len(method) > MAX_METHOD or method.upper() == "CONNECT":
        raise errors.NotImplementedMethod(f"Method {method[:MAX_METHOD]} is not supported")
    if len(target) > MAX_TARGET:
        raise errors.UriTooLong(f"The URI is longer than {MAX_TARGET} bytes")
    if _TARGET.fullmatch(target) is None or "#" in target:
        raise errors.BadRequest("The URI holds a character that must be percent-encoded")
    return method, target, version[1]


def _known_version(version: str, headers: Headers) -> str:
    """RFC 9110, 2.5: a later minor version is as the highest that we know."""
    if version in ("1.0", "1.1"):
        return version
    if "transfer-encoding" in headers:
        # Readers that know chunks in 1.1 alone take the first one for another request.
        raise errors.HttpVersionNotSupported(f"A body in chunks is for HTTP/1.1, not for {version}")
    return "1.1"


def parse_fields(lines: list[str]) -> Headers:
    """Field lines (RFC 9112, 5), free of control characters; raises ``HttpError``."""
    if len(lines) > MAX_FIELDS:
        raise errors.HeaderFieldsTooLarge(f"More than {MAX_FIELDS} header lines")
    items = []
    for line in lines:
        name, colon, value = line.partition(":")
        # A folded line (5.2) and a space before the colon (5.1) fail here, too.
        if not colon or TOKEN.fullmatch(name) is None:
            raise errors.BadRequest("A header line is not NAME: VALUE")
        items.append((name, value.strip(" \t")))
    headers = Headers(items)
    repeated = headers.repeated() & _SINGLE
    if repeated:
        raise errors.BadRequest(f"Header {min(repeated)} is given more than once")
    return headers


def _host(headers: Headers, version: str) -> str:
    """RFC 9112, 3.2: exactly one in HTTP/1.1."""
    host = headers.get("host")
    if host is None:
        if version == "1.1":
            raise errors.BadRequest("Header Host is missing")
        return ""
    if not _is_host(host):
        raise errors.BadRequest("Header Host is not a host and port")
    return host


def _is_host(text: str) -> bool:
    """``uri-host [":" port]`` (RFC 9112, 3.2; RFC 3986, 3.2.2), and not empty."""
    found = _HOST.fullmatch(text)
    if found is None or int(found[2] or 0) > _MAX_PORT:
        return False
    if found[1] is not None:
        try:
            ipaddress.IPv6Address(found[1])
        except ValueError:
            return False
    return True


def _split_target(method: str, target: str, host: str) -> tuple[str, str, str]:
    """Path, query and host of a target in origin, absolute or asterisk form (RFC 9112, 3.2)."""
    if target == "*" and method == "OPTIONS":
        return "*", "", host
    if not target.startswith("/"):
        target, host = _split_absolute(target, host)
        if not target and method == "OPTIONS":
            return "*", "", host  # RFC 9112, 3.2.4: the server as a whole
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("?")
    return decode_path(path), query, host


def _split_absolute(target: str, host: str) -> tuple[str, str]:
    """The rest, which may be empty, and the host of ``http://host/rest``; the Host header must
    agree (3.2.2)."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _is_host(found[2]):
        raise errors.BadRequest("The URI is neither a path nor an http or https URI")
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    port = _DEFAULT_PORTS[scheme]
    if host and _plain(host, port) != _plain(authority, port):
        raise errors.BadRequest("Header Host contradicts the host in the URI")
    return rest, authority


def _plain(host: str, port: str) -> str:
    """A host in a form that can be compared, without its scheme's own port."""
    return host.lower().removesuffix(":").removesuffix(port)


def decode_path(path: str) -> str:
    """Percent-decoded once; an encoded slash stays ``%2F``. Raises ``BadRequest``."""
    if "%" not in path:
        return path
    if _BAD_ESCAPE.search(path) is not None:
        raise errors.BadRequest("The URI holds a broken percent-encoding")
    try:
        return "%2F".join(unquote(part, errors="strict") for part in _ENCODED_SLASH.split(path))
    except UnicodeDecodeError:
        raise errors.BadRequest("The path of the URI is not UTF-8") from None


def _body_length(headers: Headers, version: str) -> int | None:
    """RFC 9112, 6.3, without its lenient branches."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise errors.BadRequest("Transfer-Encoding and Content-Length exclude each other")
        if version == "1.0":
            raise errors.BadRequest("Transfer-Encoding does not exist in HTTP/1.0")
        if coding.lower() != "chunked":
            raise errors.NotImplementedMethod("Transfer-Encoding can only be chunked")
        return None
    if length is None:
        return 0
    if _DIGITS.fullmatch(length) is None:
        raise errors.BadRequest("Content-Length is not a number")
    if len(length) > MAX_LENGTH_DIGITS:
        raise errors.PayloadTooLarge()
    return int(length)


def _keep_alive(headers: Headers, version: str) -> bool:
    """RFC 9112, 9.3."""
    value = headers.get("connection")
    if value is None:
        return version == "1.1"
    words = {word.strip(" \t") for word in value.lower().split(",")}
    return "close" not in words and (version == "1.1" or "keep-alive" in words)


def _expects_continue(headers: Headers, version: str) -> bool:
    """RFC 9110, 10.1.1."""
    value = headers.get("expect")
    if value is None:
        return False
    if value.lower() != "100-continue":
        raise errors.ExpectationFailed("Expect can only be 100-continue")
    return version == "1.1"
