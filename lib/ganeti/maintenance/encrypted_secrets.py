"""Secrets of instances: extracted from a copy of the database, encrypted, put back.

openssl encrypts them (AES-256) with a random key from a file on this machine, and an HMAC
authenticates them, so that a wrong key is detected. No secret is ever on a command line or in
an environment.
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

#: Uuid of an instance -> {"private": OS parameters, "disks": uuid of a disk -> its secret}.
Secrets = dict[str, dict[str, dict[str, object]]]
#: An instance as it is stored.
_Record = dict[str, Any]

#: Replaces each secret in a backup.
PLACEHOLDER = "<sealed>"
#: Few iterations are enough: the key is random, so it cannot be guessed.
_CIPHER = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "10000", "-a", "-A")
#: Index of the secret in the ``logical_id`` of a DRBD disk.
_DRBD_SECRET = 5

_INSTANCES = "SELECT uuid, name, data FROM cluster_object WHERE kind = 'instance' ORDER BY name"


class WrongKey(errors.Error):
    """The key is missing or is not the one that encrypted the secrets."""


def extract(connection: sqlite3.Connection) -> Secrets:
    """Replace all secrets of the configuration by ``PLACEHOLDER``, and return the secrets."""
    found: Secrets = {}
    for uuid, data in _instances(connection):
        secrets_of_instance: dict[str, dict[str, object]] = {}

        def extract_one(where: str, name: str, value: object) -> str:
            secrets_of_instance.setdefault(where, {})[name] = value
            return PLACEHOLDER

        if _replace_secrets(data, extract_one):
            _store(connection, uuid, data)
            found[uuid] = secrets_of_instance
    return found


def put_back(connection: sqlite3.Connection, extracted: Secrets) -> None:
    """Replace the placeholders by the secrets; ``WrongKey`` if one is not among them."""
    for uuid, data in _instances(connection):
        try:
            if _replace_secrets(data, lambda where, name, _: extracted[uuid][where][name]):
                _store(connection, uuid, data)
        except KeyError:
            raise WrongKey(f"the backup does not contain all secrets of {data['name']}") from None


def discard(connection: sqlite3.Connection) -> None:
    """Remove all private OS parameters, and give each mirrored disk a new secret."""
    for uuid, data in _instances(connection):
        data["osparams_private"] = {}
        _replace_secrets(data, lambda *_: secrets.token_hex(20))
        _store(connection, uuid, data)


def owners(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """Return the names of instances with private parameters, and of those with any secret."""
    with_private, with_any = [], []
    for _, data in _instances(connection):
        if data["osparams_private"]:
            with_private.append(data["name"])
        if _replace_secrets(data, lambda where, name, value: value):
            with_any.append(data["name"])
    return with_private, with_any


def _instances(connection: sqlite3.Connection) -> Iterator[tuple[str, _Record]]:
    for uuid, _, text in connection.execute(_INSTANCES).fetchall():
        yield uuid, serializer.loads(text)


def _replace_secrets(data: _Record, change: Callable[[str, str, object], object]) -> bool:
    """Replace each secret of an instance by what ``change`` returns for it.

    ``change`` gets "private" or "disks", the parameter's name or the disk's uuid, and the
    secret. Return whether the instance has any secret.
    """
    private = data["osparams_private"]
    disks = [disk for disk in data["disks"] if disk["dev_type"] == DiskTemplate.DRBD]
    for name in private:
        private[name] = change("private", name, private[name])
    for disk in disks:
        disk["logical_id"][_DRBD_SECRET] = change(
            "disks", disk["uuid"], disk["logical_id"][_DRBD_SECRET]
        )
    return bool(private or disks)


def _store(connection: sqlite3.Connection, uuid: str, data: _Record) -> None:
    connection.execute(
        "UPDATE cluster_object SET data = ?, sum = NULL WHERE kind = 'instance' AND uuid = ?",
        (serializer.dumps(data), uuid),
    )
    connection.execute(schema.update_sums("cluster_object", "sum IS NULL"))


# -- encryption ----------------------------------------------------------------------


def own_key(paths: pathutils.Paths) -> str:
    """Return the path of this machine's key; the first call makes the key."""
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


def encrypt(values: Secrets, key: str) -> dict[str, str]:
    """Encrypt secrets with the key in the file ``key``; return the text and its HMAC."""
    text = (
        process.output_of(
            [*_CIPHER, "-pass", f"file:{key}"], data=serializer.dumps(values).encode()
        )
        .decode("ascii")
        .strip()
    )
    return {"text": text, "mac": _mac(text, key)}


def decrypt(encrypted: Mapping[str, str], key: str) -> Secrets:
    """Return the secrets that ``encrypt`` was given; ``WrongKey`` if the key is not the same."""
    if not os.path.isfile(key):
        raise WrongKey(f"{key} is missing")
    if not hmac.compare_digest(encrypted["mac"], _mac(encrypted["text"], key)):
        raise WrongKey(f"{key} is not the key that encrypted this backup")
    found: Secrets = serializer.loads_lenient(
        process.output_of([*_CIPHER, "-d", "-pass", f"file:{key}"], data=encrypted["text"].encode())
    )
    return found


def _mac(text: str, key: str) -> str:
    with open(key, "rb") as file:
        return hmac.new(b"mac " + file.read().strip(), text.encode(), "sha256").hexdigest()
