"""Groups for key exchange with our configuration of OpenSSL."""

import os
import ssl
import subprocess
import sys

import pytest

from ganeti.http import openssl
from support import TOP
from support.http import certificate

#: Groups that OpenSSL 3.5 offers by itself, and others that it knows.
OTHERS = [
    "P-521",
    "X448",
    "ffdhe2048",
    "ffdhe3072",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "MLKEM768",
]
CLASSIC = ["X25519", "P-256", "P-384"]

SERVER = """
    import os, sys
    sys.path[:0] = {path!r}
    from ganeti.http import openssl
    openssl.load()
    import socket
    from ganeti.http.tls import make_ssl_context
    context = make_ssl_context({certificate!r})
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], os.environ.get("OPENSSL_CONF"), flush=True)
    for _ in range({count}):
        sock, _ = listener.accept()
        try:
            context.wrap_socket(sock, server_side=True).close()
        except OSError:
            sock.close()
"""


def offered(groups, **environment):
    """Return the groups with which a handshake succeeds, and OPENSSL_CONF afterwards."""
    code = SERVER.format(path=sys.path, certificate=certificate(), count=len(groups))
    # Measuring coverage would load OpenSSL before the first line of the server.
    words = {
        name: text
        for name, text in os.environ.items()
        if name not in ("OPENSSL_CONF", "COVERAGE_PROCESS_START")
    }
    with subprocess.Popen(
        [sys.executable, "-c", code.replace("\n    ", "\n")],
        text=True,
        env={**words, **environment},
        stdout=subprocess.PIPE,
    ) as server:
        port, variable = server.stdout.readline().split()
        found = []
        for group in groups:
            done = subprocess.run(
                [
                    "openssl",
                    "s_client",
                    "-connect",
                    f"127.0.0.1:{port}",
                    "-groups",
                    group,
                    "-tls1_3",
                ],
                input="",
                text=True,
                capture_output=True,
                env=words,
            )
            if "New, TLSv1.3" in done.stdout:  # its exit code depends on who closes first
                found.append(group)
        server.kill()  # it still waits for the groups that s_client does not know
    return found, variable


@pytest.fixture(scope="module")
def hybrid():
    """Return the hybrid group if OpenSSL has it, in Python and as the program."""
    listed = subprocess.run(
        ["openssl", "list", "-kem-algorithms"], text=True, capture_output=True
    ).stdout
    has_it = ssl.OPENSSL_VERSION_INFO >= (3, 5) and "X25519MLKEM768" in listed
    return ["X25519MLKEM768"] if has_it else []


def test_only_our_groups_are_offered_and_the_variable_is_removed(hybrid):
    found, variable = offered(["X25519MLKEM768", *CLASSIC, *OTHERS])
    assert found == [*hybrid, *CLASSIC] and variable == "None"


@pytest.mark.parametrize(
    ("version", "first"),
    [
        ((1, 1, 1, 23, 15), "X25519"),
        ((3, 0, 0, 20, 0), "X25519"),
        ((3, 4, 0, 9, 0), "X25519"),
        ((3, 5, 0, 0, 0), "?X25519MLKEM768"),
        ((3, 6, 0, 1, 0), "?X25519MLKEM768"),
        ((4, 0, 0, 0, 0), "?X25519MLKEM768"),
    ],
)
def test_each_release_gets_the_groups_that_it_knows(version, first):
    names = openssl.groups(version).split(":")
    assert names[0] == first and names[-3:] == CLASSIC


def test_the_administrators_own_configuration_is_kept(tmp_path):
    own = tmp_path / "openssl.cnf"
    own.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nGroups = P-521\n"
    )
    assert offered(["P-256", "P-521"], OPENSSL_CONF=str(own)) == (["P-521"], str(own))


def test_the_launcher_loads_the_configuration_first():
    text = (TOP / "daemons/ganeti-rapi.in").read_text()
    assert text.index("openssl.load()") < text.index("from ganeti.server import rapi")
