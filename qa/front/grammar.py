"""Generated streams of requests: what clients send, and what confuses parsers.

Every part of a request is chosen among common forms and, more rarely, forms on which parsers
disagree. Most requests have one or two odd parts, so that about half of them can be accepted: only
there a disagreement would matter.
"""

#: The common forms, which most requests have.
METHODS = ("GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
ODD_METHODS = (
    "get",
    "G T",
    "",
    "GE(T",
    "M-SEARCH",
    "TRACE",
    "CONNECT",
    "X" * 33,
    "Get",
    "*",
    "PRI",
    "SOURCE",
    "\xe9",
    "G\x00T",
    "!#$%&'*+-.^_`|~",
)
TARGETS = (
    "/",
    "/2/info",
    "/2/instances?bulk=1",
    "/2/jobs/1/wait",
    "/a%20b?c=%2f&d",
    "http://node1/2/info",
    "http://node1:80/",
    "/2/tags?tag=a&tag=b",
)
ODD_TARGETS = (
    "*",
    "",
    "//evil/a",
    "/..//.",
    "/a#b",
    "/\xe9",
    "/a b",
    "/%zz",
    "/%",
    "a",
    "?q",
    "http://evil/",
    "http://u@node1/",
    "http:///",
    "https://node1/a?b",
    "/\\a",
    "/\x7f",
    "/a|b",
    "/{a}",
    "/a\tb",
    "node1:80",
    "http://node1",
    "http://node1?a",
    "/a\x00b",
    "HTTP://NODE1/",
    "/" + "a" * 3000,
    '/"<>^`',
    "/%2f%2F%00",
    "/;a=b",
    "ftp://node1/",
)
VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0",)
ODD_VERSIONS = (
    "HTTP/1.2",
    "HTTP/0.9",
    "HTTP/2.0",
    "http/1.1",
    "HTTP/1.10",
    "HTTP/1",
    "",
    "HTTP/1.1 ",
    "HTTP/01.1",
    "HTTP/1,1",
    "HTTP /1.1",
    "HTTP/1.\xb9",
    "HTTPS/1.1",
)
HOSTS = ("node1", "node1", "node1:80", "NODE1", "node1:")
ODD_HOSTS = (
    "",
    "node1, evil",
    "a@node1",
    "node1/a",
    "[::1]",
    "[::1",
    "node1:x",
    "evil",
    "\xe9",
    "node1 ",
    "node1:99999",
    "a b",
    "node1\x00",
    "%41",
    "[:::]",
    "_",
    "http://node1",
)
FIELDS = (
    "Accept: */*",
    "User-Agent: curl/8.0",
    "Content-Type: application/json",
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
    "Cookie: a=b; c=d",
    "Authorization: Basic YTpi",
    "X-Request-Id: 1",
    "X-A:",
    "X-B:  b \t",
    "Via: 1.1 a",
)
ODD_FIELDS = (
    "Connection: close",
    "connection: Upgrade\r\nUpgrade: websocket",
    "Connection: close, keep-alive",
    'Connection: "close"',
    "Expect: 100-continue",
    "Expect: other",
    "X_A: b",
    "X-A : b",
    " X-A: b",
    "\tX-A: b",
    "X-A",
    ": b",
    "X-A: b\r\n c",
    "X-A: b\r\n\tc",
    "X-A:b\x00c",
    "X-A: \x01",
    "X-A: \x7f",
    "X-A: b\rX-B: c",
    "X-A: b\nX-B: c",
    "X-A: \xe9",
    "X\xe9: b",
    "X(A): b",
    "X-A: b\r\nX-A: c",
    "Host: node1",
    "Host: evil",
    "Authorization: a\r\nAuthorization: b",
    "Content_Length: 5",
    "Cookie: a\r\nCookie: b",
    "X-A: \xa0b\xa0",
    "X-A: b\x85c",
    "X-A:\tb\tc",
    "X-A: \x0bb",
    ":a: b",
    "TE: trailers",
    "Trailer: X-A",
    "Keep-Alive: 5",
    "Proxy-Connection: close",
    "X-A: b\r",
    "Upgrade: h2c",
    "Content-Encoding: gzip",
    "Content-Type: a\r\nContent-Type: b",
    "1: 2",
    "",
    "HTTP2-Settings: a\r\nConnection: HTTP2-Settings",
    "X-A=b",
    '"X": b',
    "X-A: \x1cb",
)
BODIES = (
    "",
    "hello",
    '{"a": 1}',
    "0\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "\x00\xff\r\n",
    "a" * 300,
)
LENGTHS = (
    "+{}",
    "-{}",
    " {} ",
    "0{}",
    "{},{}",
    "{}, {}",
    "0x{:x}",
    "{}.0",
    "{}_0",
    "{}a",
    "",
    "\t{}\t",
    "\x0b{}",
    "{}\x00",
    "{}\r\nContent-Length: {}",
    "{}\r\nContent-Length: 0",
    "000000000000000000{}",
    "{}e0",
    "\xa0{}",
    "{} {}",
    "{};",
    "18446744073709551616",
)
CODINGS = (
    "Chunked",
    "CHUNKED",
    "chunked ",
    "\tchunked",
    "chunked, chunked",
    "gzip, chunked",
    "identity",
    "chunked, identity",
    "xchunked",
    "chunked;a=b",
    '"chunked"',
    "",
    ",chunked",
    "chunked,",
    "chunked\r\nTransfer-Encoding: chunked",
    "\x0bchunked",
    "chunked\x00",
    "chunked\r\nContent-Length: 5",
    "chun ked",
    "chunked\r\nTransfer-Encoding: identity",
)
CODING_NAMES = (
    "Transfer-Encoding ",
    "transfer_encoding",
    "Transfer-Encoding\x00",
    " Transfer-Encoding",
    "Transfer-Encoding\x0b",
    "X:\rTransfer-Encoding",
)
SIZES = (
    "{:X}",
    "0{:x}",
    "00000{:x}",
    "+{:x}",
    "-{:x}",
    "0x{:x}",
    " {:x}",
    "{:x} ",
    "{:x}\t",
    "{:x}_",
    "{:x};a",
    "{:x};a=b",
    '{:x};a="b"',
    "{:x} ;a",
    "{:x};",
    "{:x};a\rb",
    "{:x};a\nb",
    '{:x};a="b;c"',
    "{:x}; a=b",
    '{:x};a="\r\n"',
    "",
    "1{:x}",
    "00000000{:x}",
    "{:x}\x00",
    "{:x};\xe9",
    "{:x},a",
    "10000000000000000{:x}",
    '{:x};a="\\""',
    "{:x}\r",
)
DATA_ENDS = ("", "\n", "\r", "\r\n\r\n", "ab", "\n\n", "\n\r", "x\r\n")
TRAILERS = (
    "X-A: b\r\n",
    "Content-Length: 5\r\n",
    "X-A\r\n",
    "X-A : b\r\n",
    " a\r\n",
    "X-A: b\n",
    "Host: evil\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X-A: \x00\r\n",
    "\n",
    "\r",
    "\xe9: b\r\n",
    "GET / HTTP/1.1\r\n",
    "X-A: b\r\n\r",
    "X: a\r\nX: b\r\n",
)
LINE_ENDS = ("\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "\r\n ", "\x0b\r\n", "\x00\r\n", "")
BEFORE = ("\r\n", "\r\n\r\n", "\n", " ", "\r", "\x00", "\t\r\n", "\xef\xbb\xbf")
SPLICES = (
    "\r\n",
    "\n",
    "\r",
    "\x00",
    " ",
    "\t",
    ":",
    "\x0b",
    "\x0c",
    "\x85",
    "\xa0",
    ",",
    ";",
    "\xff",
    "0\r\n\r\n",
    "\r\n\r\n",
    "Host: b\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
)


class Grammar:
    """A generator of streams, seeded by a ``random.Random``."""

    def __init__(self, random):
        self._random = random
        self._odd = 0.0  # The share of odd parts in the present stream.

    def stream(self):
        """Return some requests, one after the other, as latin-1 text."""
        self._odd = self._random.choice((0.0, 0.02, 0.05, 0.05, 0.1, 0.2))
        text = "".join(self._request() for _ in range(self._random.choice((1, 1, 1, 2, 3))))
        return self._spoil(text) if self._random.random() < 0.15 else text

    def _pick(self, common, odd):
        return self._random.choice(odd if self._random.random() < self._odd else common)

    def _line_end(self):
        return self._pick(("\r\n",), LINE_ENDS) if self._random.random() < 0.3 else "\r\n"

    def _request(self):
        space = self._pick((" ",), ("  ", "\t", "\x0b", "\xa0", ""))
        line = space.join(
            (
                self._pick(METHODS, ODD_METHODS),
                self._pick(TARGETS, ODD_TARGETS),
                self._pick(VERSIONS, ODD_VERSIONS),
            )
        )
        fields = [
            self._pick(("Host: {}",), ("host:{}", "Host:\t{}", "X: {}", "Host : {}")).format(
                self._pick(HOSTS, ODD_HOSTS)
            )
        ]
        for _ in range(self._random.randrange(4)):
            fields.append(self._pick(FIELDS, ODD_FIELDS))
        framing, body = self._body()
        fields += framing
        if self._random.random() < 0.5:
            self._random.shuffle(fields)
        lines = "".join(field + self._line_end() for field in fields)
        return self._pick(("",), BEFORE) + line + self._line_end() + lines + self._line_end() + body

    def _body(self):
        """Return the fields that declare a body's length, and the body."""
        body = self._random.choice(BODIES)
        kind = self._random.random()
        if kind < 0.35:
            return [], self._pick(("",), BODIES)
        if kind < 0.65:
            said = max(0, len(body) + self._pick((0,), (-3, -1, 1, 2)))
            value = self._pick(("{}",), LENGTHS).format(said, said)
            return [f"Content-Length: {value}"], body
        name = self._pick(("Transfer-Encoding",), CODING_NAMES)
        fields = [f"{name}: {self._pick(('chunked',), CODINGS)}"]
        if self._random.random() < self._odd:
            fields.append(f"Content-Length: {self._random.choice((0, 5, len(body)))}")
        return fields, self._chunks(body)

    def _chunks(self, body):
        text = ""
        while body:
            size = self._random.choice((1, 3, len(body), len(body)))
            part, body = body[:size], body[size:]
            said = max(1, len(part) + self._pick((0,), (-1, 1)))
            text += (
                self._pick(("{:x}",), SIZES).format(said)
                + self._line_end()
                + part
                + self._pick(("\r\n",), DATA_ENDS)
            )
        last = self._pick(
            ("0", "0", "0", "00", "0;a=b"), ("", "0 ", "-0", "0;", "0\n", "000000000")
        )
        return text + last + self._line_end() + self._pick(("",), TRAILERS) + self._line_end()

    def _spoil(self, text):
        """Cut, change, insert or repeat something anywhere."""
        place = self._random.randrange(len(text) + 1)
        kind = self._random.randrange(4)
        if kind == 0:
            return text[:place]
        if kind == 1:
            return text[:place] + chr(self._random.randrange(256)) + text[place + 1 :]
        if kind == 2:
            return text[:place] + self._random.choice(SPLICES) + text[place:]
        return text[:place] + text[max(0, place - self._random.randrange(40)) :]
