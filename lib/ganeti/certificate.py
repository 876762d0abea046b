"""The certificate of the API: key and self-signed certificate in one file, rapi.pem."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence

from ganeti import errors, pathutils
from ganeti.layout import Owners
from ganeti.utils import host, io, process

#: Days for which a certificate of ours is valid: five years, as in Ganeti.
DAYS = 1825
#: Longest common name of a certificate (RFC 5280, ub-common-name).
_COMMON_NAME_MAX = 64


def make(paths: pathutils.Paths, names: Sequence[str], owners: Owners) -> None:
    """Generate a certificate with its key, and write rapi.pem atomically."""
    io.write_file(paths.rapi_cert, generate(names), mode=0o600, uid=owners.rapi, gid=owners.group)


def generate(names: Sequence[str]) -> bytes:
    """Return a new key with a certificate for ``names`` and this machine's addresses.

    The first name is the subject. The key is on the curve P-256, which takes less time for a
    signature than RSA does. Raises ``CommandError`` if openssl is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:  # with mode 0700, as the key is secret
        config, key, certificate = (
            pathutils.inside(folder, name) for name in ("request.cnf", "key.pem", "cert.pem")
        )
        io.write_file(config, request(names, host.addresses()), durable=False)
        process.output_of(
            [
                "openssl",
                "req",
                "-x509",
                "-new",
                "-nodes",
                "-sha256",
                "-config",
                config,
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-pkeyopt",
                "ec_param_enc:named_curve",
                "-days",
                str(DAYS),
                "-keyout",
                key,
                "-out",
                certificate,
            ]
        )
        return b"".join(_read(path) for path in (key, certificate))


def request(names: Sequence[str], addresses: Sequence[str]) -> str:
    """Return openssl's configuration for a self-signed X.509 v3 certificate.

    The certificate may sign, so that a client can trust it as an authority. Python 3.13 then
    requires the key's usage and identifiers (RFC 5280, 4.2.1).
    """
    all_names = list(dict.fromkeys((*names, "localhost")))
    all_addresses = list(dict.fromkeys(("127.0.0.1", "::1", *addresses)))
    lines = [
        "[req]",
        "prompt = no",
        "distinguished_name = name",
        "x509_extensions = v3",
        "string_mask = utf8only",
        "[name]",
        f"CN = {names[0][:_COMMON_NAME_MAX]}",
        "[v3]",
        "basicConstraints = critical, CA:TRUE",
        "keyUsage = critical, digitalSignature, keyCertSign",
        "extendedKeyUsage = serverAuth",
        "subjectKeyIdentifier = hash",
        "authorityKeyIdentifier = keyid:always",
        "subjectAltName = @names",
        "[names]",
    ]
    lines += [f"DNS.{index} = {name}" for index, name in enumerate(all_names)]
    lines += [f"IP.{index} = {address}" for index, address in enumerate(all_addresses)]
    return "\n".join(lines) + "\n"


def facts(content: bytes) -> Mapping[str, str]:
    """Return subject, issuer, end (``notAfter``) and SHA-256 fingerprint of the first certificate.

    The result is empty if openssl cannot read a certificate. Raises ``CommandError`` if openssl is
    missing.
    """
    process.output_of(["openssl", "version"])
    try:
        text = process.output_of(
            [
                "openssl",
                "x509",
                "-noout",
                "-subject",
                "-issuer",
                "-enddate",
                "-fingerprint",
                "-sha256",
                "-nameopt",
                "RFC2253",
            ],
            data=content,
        )
    except errors.CommandError:
        return {}
    lines = (line.partition("=") for line in text.decode("utf-8", "replace").splitlines())
    found = {name.strip(): value.strip() for name, _, value in lines}
    return {
        "subject": found.get("subject", ""),
        "issuer": found.get("issuer", ""),
        "end": found.get("notAfter", ""),
        "fingerprint": next(
            (value for name, value in found.items() if name.lower().endswith("fingerprint")), ""
        ),
    }


def is_replaceable(content: bytes) -> bool:
    """Return whether a file holds a single self-signed certificate, or none that can be read.

    Any other certificate was issued by an authority, which has to renew it.
    """
    found = facts(content)
    return not found or (
        found["subject"] == found["issuer"] and content.count(b"-----BEGIN CERTIFICATE-----") == 1
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
