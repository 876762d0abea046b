"""Secrets of instances: taken out of a copy of the database, sealed, and put back.

Sealed means: encrypted by openssl (AES-256, a key of random bytes in a file of this
machine's own), and vouched for by an HMAC, so that a wrong key is told from a right one.
Nothing secret stands on a command line or in an environment.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ganeti import errors, pathutils, serializer
from ganeti.constants import DiskTemplate
from ganeti.db import schema
from ganeti.utils import io, process

#: Uuid of an instance -> its secrets: private OS parameters, secrets of disks by uuid.
Secrets = dict[str, dict[str, dict[str, Any]]]

#: What stands in the place of a secret.
PLACEHOLDER = "<sealed>"
#: The key is random, so that there is nothing to be made harder to guess.
_CIPHER = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "10000", "-a", "-A")
#: Where a DRBD disk's ``logical_id`` has its secret.
_DRBD_SECRET = 5

_INSTANCES = "SELECT uuid, name, data FROM cluster_object WHERE kind = 'instance' ORDER BY name"


class WrongKey(errors.Error):
    """What was sealed cannot be opened with this key."""


def take_out(connection: sqlite3.Connection) -> Secrets:
    """Put placeholders in the place of all secrets of the configuration; the secrets."""
    found: Secrets = {}

    def take(uuid: str, where: str, name: str, value: Any) -> Any:
        found.setdefault(uuid, {}).setdefault(where, {})[name] = value
        return PLACEHOLDER

    for uuid, data in _instances(connection):
        if _change(data, lambda *place: take(uuid, *place)):
            _store(connection, uuid, data)
    return found


def put_back(connection: sqlite3.Connection, taken: Secrets) -> None:
    """The opposite; ``WrongKey`` when there is none for some instance."""
    for uuid, data in _instances(connection):
        try:
            if _change(data, lambda where, name, _: taken[uuid][where][name]):
                _store(connection, uuid, data)
        except KeyError:
            raise WrongKey(
                f"the secrets of {data['name']} are not among those that are sealed"
            ) from None


def leave_out(connection: sqlite3.Connection) -> None:
    """Go on without: private parameters are gone, secrets of disks are new ones."""
    for uuid, data in _instances(connection):
        data["osparams_private"] = {}
        _change(data, lambda *_: secrets.token_hex(20))
        _store(connection, uuid, data)


def holders(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """Names of the instances with private parameters, and of those with any secret."""
    private, some = [], []
    for _, data in _instances(connection):
        if data["osparams_private"]:
            private.append(data["name"])
        if _change(data, lambda where, name, value: value):
            some.append(data["name"])
    return private, some


def _instances(connection: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    for uuid, _, text in connection.execute(_INSTANCES).fetchall():
        yield uuid, serializer.loads(text)


def _change(data: dict[str, Any], change: Callable[[str, str, Any], Any]) -> bool:
    """Have each secret of an instance changed; has it any?"""
    private = data["osparams_private"]
    disks = [disk for disk in data["disks"] if disk["dev_type"] == DiskTemplate.DRBD]
    for name in private:
        private[name] = change("private", name, private[name])
    for disk in disks:
        disk["logical_id"][_DRBD_SECRET] = change(
            "disks", disk["uuid"], disk["logical_id"][_DRBD_SECRET]
        )
    return bool(private or disks)


def _store(connection: sqlite3.Connection, uuid: str, data: Mapping[str, Any]) -> None:
    connection.execute(
        "UPDATE cluster_object SET data = ?, sum = NULL WHERE kind = 'instance' AND uuid = ?",
        (serializer.dumps(data), uuid),
    )
    connection.execute(schema.seal("cluster_object", "sum IS NULL"))


# -- sealing ----------------------------------------------------------------------


def own_key(paths: pathutils.Paths) -> str:
    """The file with this machine's key, made if there is none."""
    if not os.path.exists(paths.backup_key):
        owner = os.stat(paths.master_db)
        with contextlib.suppress(FileExistsError):  # another backup was faster
            io.write_file(
                paths.backup_key,
                secrets.token_hex(32) + "\n",
                mode=0o600,
                uid=owner.st_uid,
                gid=owner.st_gid,
                replace=False,
            )
    return paths.backup_key


def seal(values: Secrets, key: str) -> dict[str, str]:
    """Secrets as they may be stored anywhere."""
    text = (
        process.output_of(
            [*_CIPHER, "-pass", f"file:{key}"], data=serializer.dumps(values).encode()
        )
        .decode("ascii")
        .strip()
    )
    return {"text": text, "mac": _mac(text, key)}


def unseal(sealed: Mapping[str, str], key: str) -> Secrets:
    """The opposite of ``seal``; ``WrongKey`` when this is not the key, or there is none."""
    if not os.path.isfile(key):
        raise WrongKey(f"{key} is missing")
    if not hmac.compare_digest(sealed["mac"], _mac(sealed["text"], key)):
        raise WrongKey(f"{key} is not the key that this backup was sealed with")
    found: Secrets = serializer.loads_lenient(
        process.output_of([*_CIPHER, "-d", "-pass", f"file:{key}"], data=sealed["text"].encode())
    )
    return found


def _mac(text: str, key: str) -> str:
    with open(key, "rb") as file:
        return hmac.new(b"mac " + file.read().strip(), text.encode(), "sha256").hexdigest()
