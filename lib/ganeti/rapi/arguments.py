"""The arguments of a request: words of its query, its idempotency key, and its body.

A blank word counts as absent, and a word that the verb does not have is ignored, as in Ganeti
since 2.0. Of a repeated word the first value counts, except where the word is a list. Flags take
any integer (0 is false), as in Ganeti, and true, false, yes and no, as the page of the 2.0 API
writes them.

A body is JSON in no coding, with or without a Content-Type that says so.
"""

from __future__ import annotations

import codecs
import re
import urllib.parse
from collections.abc import Collection, Mapping, Sequence

from ganeti import ht, serializer
from ganeti.http import errors as http_errors
from ganeti.http.message import Headers
from ganeti.serializer import Json

#: A query with more words is an attack; a client that sets many tags uses the body.
MAX_WORDS = 1000

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_FLAG_WORDS = {"true": True, "yes": True, "false": False, "no": False}

#: More columns than any object has. Each row repeats a column that is named twice, so a short
#: request that repeats a name many times would have a huge answer.
MAX_FIELDS = 500

#: The header with which a submission can be repeated safely (an IETF draft of this name).
IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_KEY = 255
#: A string item (RFC 8941, 3.3.3) with its parameters; its quotes may be missing.
_STRING = r'"((?:[ !#-\[\]-~]|\\["\\])*)"'
_PARAMETER = rf'[ \t]*;[ \t]*[a-z*][a-z0-9_.*-]*(?:=(?:{_STRING}|[^ \t",;]+))?'
_KEY = re.compile(rf"(?:{_STRING}|([!#-+\--:<-~]+))(?:{_PARAMETER})*", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')


# -- the query -------------------------------------------------------------------------


class QueryString:
    """The words of a URI's query, percent-decoded; blank ones are dropped."""

    def __init__(self, raw: str) -> None:
        try:
            self._words: Mapping[str, list[str]] = (
                urllib.parse.parse_qs(raw, max_num_fields=MAX_WORDS, errors="strict") if raw else {}
            )
        except UnicodeDecodeError:
            raise http_errors.BadRequest("The query is not UTF-8") from None
        except ValueError:
            raise http_errors.BadRequest(f"The query has more than {MAX_WORDS} words") from None

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def words(self) -> Collection[str]:
        """Return the words."""
        return self._words.keys()

    def values(self, word: str) -> list[str]:
        """Return all values of a word, in the order of the query."""
        return self._words.get(word, [])

    def with_word(self, word: str, value: object) -> str:
        """Return the query, percent-encoded, with this value of a word instead of its own."""
        pairs = [
            (name, text) for name, texts in self._words.items() if name != word for text in texts
        ]
        return urllib.parse.urlencode([*pairs, (word, value)])


#: The query of most requests.
NO_QUERY = QueryString("")


def read_idempotency_key(lines: Sequence[str]) -> str:
    """Return the key in the header's lines; raises ``BadRequest``."""
    if len(lines) > 1:
        raise http_errors.BadRequest(f"Header {IDEMPOTENCY_KEY} is given more than once")
    found = _KEY.fullmatch(lines[0])
    if found is None:
        raise http_errors.BadRequest(
            f"Header {IDEMPOTENCY_KEY} must be one quoted string of ASCII characters"
        )
    key = found[2] or _ESCAPED.sub(r"\1", found[1])
    if not 1 <= len(key) <= MAX_KEY:
        raise http_errors.BadRequest(
            f"Header {IDEMPOTENCY_KEY} must hold 1 to {MAX_KEY} characters, not {len(key)}"
        )
    return key


class Argument:
    """One word of the query, with a default for queries that lack it."""

    #: Its type, in the words of the reference.
    kind: str

    def __init__(self, *, word: str = "", default: object = None, shared: bool = False) -> None:
        #: The word, if it is not the name under which the argument is declared.
        self.word = word
        self.default = default
        #: Whether the body may give it instead of the query.
        self.shared = shared

    def read(self, name: str, query: QueryString) -> object:
        """Return its value, or the default; raises ``BadRequest`` that names the word."""
        word = self.word or name
        values = query.values(word)
        if not values:
            return self.default
        try:
            return self.parse(values)
        except ValueError as err:
            raise http_errors.BadRequest(
                f"Invalid value for the '{word}' parameter: {err}"
            ) from None

    def parse(self, values: list[str]) -> object:
        """Return the value that the texts mean; raises ``ValueError`` with words for people."""
        raise NotImplementedError


def _integer(text: str) -> int | None:
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


class Flag(Argument):
    kind = "flag"

    def parse(self, values: list[str]) -> bool:
        number = _integer(values[0])
        if number is not None:
            return number != 0
        found = _FLAG_WORDS.get(values[0].strip().lower())
        if found is None:
            raise ValueError(f"give 0, 1, true or false, not {ht.shorten(values[0])}")
        return found


class DryRun(Flag):
    """``dry-run``; other spellings of it are refused.

    Ganeti ignores ``dry_run=1`` and does the work, which its sender does not expect.
    """

    def __init__(self) -> None:
        super().__init__(word="dry-run")

    def read(self, name: str, query: QueryString) -> object:
        """Return the flag; raises ``BadRequest`` for a word that differs only in spelling."""
        for word in query.words():
            if word != self.word and word.lower().replace("_", "").replace("-", "") == "dryrun":
                raise http_errors.BadRequest(
                    f"Parameter {ht.shorten(word)} is unknown: write '{self.word}'"
                )
        return super().read(name, query)


class Unlocked(Flag):
    """``lock`` of 2.0, for reading under locks; Ganeti has refused it since 2.0."""

    kind = "flag, which must be no: reading takes no locks"

    def parse(self, values: list[str]) -> bool:
        if super().parse(values):
            raise ValueError("nothing can be locked for reading; leave it out")
        return False


class Integer(Argument):
    """An integer; ``least`` and ``most`` limit it."""

    def __init__(
        self, *, shared: bool = False, least: int | None = None, most: int | None = None
    ) -> None:
        super().__init__(shared=shared)
        self.least = least
        self.most = most
        if least is None:
            self.kind = "integer"
        elif most is None:
            self.kind = f"integer of {least} or more"
        else:
            self.kind = f"integer from {least} to {most}"

    def parse(self, values: list[str]) -> int:
        number = _integer(values[0])
        if number is None or not self._is_in_range(number):
            raise ValueError(f"give an {self.kind}, not {ht.shorten(values[0])}")
        return number

    def _is_in_range(self, number: int) -> bool:
        if self.least is not None and number < self.least:
            return False
        return self.most is None or number <= self.most


class Text(Argument):
    kind = "string"

    def parse(self, values: list[str]) -> str:
        return values[0]


class Choice(Argument):
    def __init__(
        self, choices: tuple[str, ...], word: str, default: str | None, shared: bool
    ) -> None:
        super().__init__(word=word, default=default, shared=shared)
        self.choices = choices
        self.kind = "one of " + ", ".join(choices)

    def parse(self, values: list[str]) -> str:
        if values[0] not in self.choices:
            raise ValueError(f"give {self.kind}, not {ht.shorten(values[0])}")
        return values[0]


class Words(Argument):
    """Words, separated by commas or repeated: any, or those of ``choices``, at most ``most``.

    Duplicates are kept, as words can name the columns of a table.
    """

    def __init__(self, choices: Sequence[str] = (), *, most: int | None = None) -> None:
        super().__init__()
        self.choices = choices
        self.most = most
        kind = "any of " + ", ".join(choices) if choices else "strings"
        self.kind = kind + ", repeated or separated by commas"

    def parse(self, values: list[str]) -> list[str]:
        words = [word.strip() for value in values for word in value.split(",")]
        found = [word for word in words if word]
        strange = [word for word in found if self.choices and word not in self.choices]
        if strange or not found:
            raise ValueError(f"give {self.kind}, not {ht.shorten((strange or values)[0])}")
        if self.most is not None and len(found) > self.most:
            raise ValueError(f"give at most {self.most}, not {len(found)}")
        return found


class Fields(Words):
    """Names of columns, of which there may be ``MAX_FIELDS``."""

    def __init__(self, choices: Sequence[str] = ()) -> None:
        super().__init__(choices, most=MAX_FIELDS)


def check_fields(names: Sequence[object]) -> None:
    """Raise ``BadRequest`` if a body names more columns than ``MAX_FIELDS``."""
    if len(names) > MAX_FIELDS:
        raise http_errors.BadRequest(
            "Invalid body parameters: fields must name at most "
            f"{MAX_FIELDS} columns, not {len(names)}"
        )


class Tags(Argument):
    kind = "string, repeated"

    def parse(self, values: list[str]) -> list[str]:
        return list(dict.fromkeys(values))


class Fixed(Argument):
    """A field with one value, which no word of the query changes."""

    kind = "fixed"

    def __init__(self, value: object) -> None:
        super().__init__(default=value)

    def read(self, name: str, query: QueryString) -> object:
        return self.default


class Required(Argument):
    """A word of another type that must be present."""

    def __init__(self, wanted: Argument) -> None:
        super().__init__(word=wanted.word)
        self.wanted = wanted
        self.kind = f"{wanted.kind}; required"

    def read(self, name: str, query: QueryString) -> object:
        value = self.wanted.read(name, query)
        if value is None:
            raise http_errors.BadRequest(f"Parameter '{self.word or name}' is missing")
        return value


flag = Flag()
unlocked = Unlocked()
integer = Integer()
text = Text()
tags = Tags(word="tag")


def choice(
    *choices: str, word: str = "", default: str | None = None, shared: bool = False
) -> Argument:
    """Return the argument for one of these words."""
    return Choice(choices, word, default, shared)


# -- the body --------------------------------------------------------------------------


JSON = "application/json"
_JSON_TYPE = re.compile(r"application/json\s*(;.*)?", re.ASCII | re.IGNORECASE)


def read_body(headers: Headers, body: bytes) -> Json:
    """Return the JSON value of a body that is not empty.

    Raises ``UnsupportedMediaType`` and ``BadRequest``.
    """
    check_body_kind(headers)
    try:
        # Programs on Windows begin a text with a byte order mark, which RFC 8259 (8.1) lets us
        # ignore.
        value: Json = serializer.loads(body.removeprefix(codecs.BOM_UTF8))
    except serializer.ParseError as err:
        raise http_errors.BadRequest(f"Unable to parse JSON data: {err}") from None
    return value


def check_body_kind(headers: Headers) -> None:
    """Raise ``UnsupportedMediaType`` for a body that is not JSON, or is in a coding."""
    media_type = headers.get("Content-Type")
    if media_type is not None and _JSON_TYPE.fullmatch(media_type.strip()) is None:
        raise http_errors.UnsupportedMediaType(f"A body must be {JSON}, not {media_type[:80]}")
    codings = {
        word.strip(" \t").lower() for word in (headers.get("Content-Encoding") or "").split(",")
    } - {"", "identity"}
    if codings:
        raise http_errors.UnsupportedMediaType(
            f"A body must not be packed (Content-Encoding: {min(codings)[:80]})",
            headers=[("Accept-Encoding", "identity")],
        )
