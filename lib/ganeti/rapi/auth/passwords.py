"""Passwords as the users file stores them.

    word  {cleartext}word                          clear text
    {ha1}HEX                                       MD5 of name:realm:password (RFC 7616)
    {scrypt}n=32768,r=8,p=1$SALT$HASH              RFC 7914
    {pbkdf2-sha256}i=600000$SALT$HASH              RFC 8018
    !                                              no password: for users with a certificate

The first two are Ganeti's (``lib/http/auth.py`` there). The next two are slow on purpose, so
that somebody who has read the file cannot try many words; their salt and hash are Base64. The
parameters in a line are bounded, so that a mistake cannot exhaust the memory.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ganeti.constants import HTTP_BASIC_REALM

#: Parameters of new lines. A check takes 32 MiB and some 80 ms.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1
#: Limits on a line's parameters: 256 MiB, ten times the default's time, ten million rounds.
MAX_SCRYPT_MEMORY = 256 * 1024 * 1024
MAX_SCRYPT_WORK = 10 * SCRYPT_N * SCRYPT_R * SCRYPT_P
#: Limit on r and on p: beyond it, the two limits above say little about time and memory.
MAX_SCRYPT_FACTOR = 64
MAX_ITERATIONS = 10_000_000
#: Characters of a password. Nobody has a longer one, and hashing it would cost time.
MAX_LENGTH = 1024
ITERATIONS = 600_000

_SCHEME = re.compile(r"\{([^}]*)\}(.*)", re.DOTALL)
#: Hashes that htpasswd and crypt(3) write: an identifier, then parameters, salt and hash. The
#: shortest is MD5's without a salt.
_CRYPT = re.compile(
    r"\$(?:1|2[abxy]?|3|5|6|7|y|gy|sm3|md5|sha1|apr1|P|H|argon2(?:i|d|id)"
    r"|scrypt|bcrypt-sha256|pbkdf2[a-z0-9-]*)[$,][./A-Za-z0-9$=,+_-]{22,}"
)
_HA1 = re.compile(r"[0-9a-fA-F]{32}")
#: Characters that RFC 7617 forbids in a name or password.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HASHED = re.compile(r"([a-z0-9=,]{1,80})\$([A-Za-z0-9+/=]{1,172})\$([A-Za-z0-9+/=]{1,172})")
_MEMORY = 2 * MAX_SCRYPT_MEMORY


class BadPassword(ValueError):
    """The second word of a line is not a valid password; the text says why."""


@dataclass(frozen=True)
class Password:
    """A stored password: its scheme, and what checking one needs."""

    scheme: str
    text: str
    numbers: tuple[int, ...] = ()
    salt: bytes = b""
    digest: bytes = b""

    @property
    def costs(self) -> tuple[str, tuple[int, ...], int] | None:
        """Return a key that is equal for passwords of equal cost; None if a check is cheap."""
        return (self.scheme, self.numbers, len(self.digest)) if self.numbers else None

    def matches(self, name: str, password: str) -> bool:
        """Return whether this is the password, in the same time either way."""
        if self.numbers:
            return hmac.compare_digest(_derive(self, _bytes(password)), self.digest)
        # Compute both for every scheme, so that the time reveals nothing about the file.
        same_text = hmac.compare_digest(_sha256(password), _sha256(self.text))
        same_ha1 = hmac.compare_digest(_sha256(ha1(name, password)), _sha256(self.text.lower()))
        return {"cleartext": same_text, "ha1": same_ha1}.get(self.scheme, False)

    def never_matches(self) -> str:
        """Return why no password can match; '' if one can, or if none is meant to.

        The text does not quote the stored password.
        """
        if self.scheme == CRYPT:
            return "the password is a hash of crypt or htpasswd, which are not supported"
        if self.scheme == "ha1" and _HA1.fullmatch(self.text) is None:
            return "a {ha1} password must be 32 hexadecimal digits"
        if self.scheme == "cleartext" and CONTROL.search(self.text):
            return "the password contains control characters"
        if self.scheme == "cleartext" and len(self.text) > MAX_LENGTH:
            return f"the password has more than {MAX_LENGTH} characters"
        if self.numbers or self.scheme in ("cleartext", "ha1") or self == NOBODY:
            return ""
        return f"the password has the unknown scheme {{{self.scheme[:20]}}}"

    def decoy(self) -> Password:
        """Return a password that costs the same and that nobody has."""
        return replace(self, salt=os.urandom(16), digest=os.urandom(len(self.digest)))


#: The password of a user who has none.
NOBODY = Password("nobody", "")
#: Scheme of a word that is evidently a hash, but of a kind that we cannot check. If it counted as
#: clear text, anybody who has read the file could log in with it. Since it contains a space, no
#: {scheme} in a file can have this name.
CRYPT = "crypt hash"


def parse_password(stored: str) -> Password:
    """Parse the second word of a line; raises ``BadPassword``."""
    if stored == "!":
        return NOBODY
    found = _SCHEME.fullmatch(stored)
    if found is None:
        return Password("cleartext" if _CRYPT.fullmatch(stored) is None else CRYPT, stored)
    scheme, text = found[1].lower(), found[2]
    if scheme == "cleartext" and not text:
        raise BadPassword("a {cleartext} password is empty; use ! for no password")
    if scheme not in ("scrypt", "pbkdf2-sha256"):
        return Password(scheme, text)
    hashed = _HASHED.fullmatch(text)
    if hashed is None:
        raise BadPassword(f"a {{{scheme}}} password is not PARAMETERS$SALT$HASH")
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed.groups()[1:])
    except binascii.Error as err:
        raise BadPassword(f"salt or hash of a {{{scheme}}} password is not Base64") from err
    names = ("n", "r", "p") if scheme == "scrypt" else ("i",)
    numbers = _numbers(hashed[1], names)
    if numbers is None or not _cost_is_allowed(scheme, numbers) or not 16 <= len(digest) <= 128:
        raise BadPassword(f"a {{{scheme}}} password has parameters outside the allowed range")
    return Password(scheme, text, numbers, salt, digest)


def _numbers(text: str, names: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return the values of ``n=1,r=2,p=3``, all positive; None for other text."""
    pattern = ",".join(rf"{name}=([1-9][0-9]{{0,9}})" for name in names)
    found = re.fullmatch(pattern, text)
    return tuple(map(int, found.groups())) if found else None


def _cost_is_allowed(scheme: str, numbers: tuple[int, ...]) -> bool:
    if scheme == "scrypt":
        return _scrypt_cost_is_allowed(*numbers)
    return numbers[0] <= MAX_ITERATIONS


def _scrypt_cost_is_allowed(n: int, r: int, p: int) -> bool:
    if 128 * n * r > MAX_SCRYPT_MEMORY or n * r * p > MAX_SCRYPT_WORK:
        return False
    if max(r, p) > MAX_SCRYPT_FACTOR:
        return False
    # RFC 7914, 2: N is a power of two, larger than 1 and less than 2^(128 * r / 8).
    is_power_of_two = n > 1 and n & (n - 1) == 0
    return is_power_of_two and n < 2 ** (16 * r)


def _derive(stored: Password, password: bytes) -> bytes:
    length = len(stored.digest)
    if stored.scheme == "scrypt":
        n, r, p = stored.numbers
        return hashlib.scrypt(
            password, salt=stored.salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=length
        )
    return hashlib.pbkdf2_hmac("sha256", password, stored.salt, stored.numbers[0], length)


# -- new passwords --------------------------------------------------------------------


def ha1(name: str, password: str) -> str:
    """Return the MD5 of name, realm and password that ``{ha1}`` stores, in hexadecimal."""
    text = _bytes(f"{name}:{HTTP_BASIC_REALM}:{password}")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _new_ha1(name: str, password: str) -> str:
    return f"{{ha1}}{ha1(name, password)}"


def _new_scrypt(_: str, password: str) -> str:
    return _new(
        "scrypt",
        f"n={SCRYPT_N},r={SCRYPT_R},p={SCRYPT_P}",
        password,
        (SCRYPT_N, SCRYPT_R, SCRYPT_P),
    )


def _new_pbkdf2(_: str, password: str) -> str:
    return _new("pbkdf2-sha256", f"i={ITERATIONS}", password, (ITERATIONS,))


def _new(scheme: str, parameters: str, password: str, numbers: tuple[int, ...]) -> str:
    blank = Password(scheme, "", numbers, os.urandom(16), bytes(32))
    salt, digest = (
        base64.b64encode(part).decode("ascii")
        for part in (blank.salt, _derive(blank, _bytes(password)))
    )
    return f"{{{scheme}}}{parameters}${salt}${digest}"


#: Scheme -> function of name and password that makes the second word of a line. The first scheme
#: is the default.
SCHEMES: dict[str, Callable[[str, str], str]] = {
    "scrypt": _new_scrypt,
    "pbkdf2-sha256": _new_pbkdf2,
    "ha1": _new_ha1,
}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sha256(text: str) -> bytes:
    """Return a digest. Its length is fixed, so that a comparison does not reveal the secret's."""
    return hashlib.sha256(_bytes(text)).digest()
