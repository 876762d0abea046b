"""A client that updates its keys without pause (RFC 8446, section 4.6.3).

    updates.py PORT COUNT

prepares COUNT KeyUpdates after the handshake, which Python's ``ssl`` cannot, and sends them in one
piece; then prints what became of the connection. Each is encrypted with keys that follow from the
previous ones. Needs the package cryptography.
"""

import hashlib
import hmac
import os
import socket
import ssl
import struct
import sys
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

#: The suites of TLS 1.3: digest, cipher class and key bytes.
SUITES = {
    "TLS_AES_128_GCM_SHA256": (hashlib.sha256, AESGCM, 16),
    "TLS_AES_256_GCM_SHA384": (hashlib.sha384, AESGCM, 32),
    "TLS_CHACHA20_POLY1305_SHA256": (hashlib.sha256, ChaCha20Poly1305, 32),
}
#: The message (24, one byte long: not requested), and the inner content type.
UPDATE = b"\x18\0\0\x01\0" + b"\x16"
HEADER = struct.pack("!BHH", 23, 0x0303, len(UPDATE) + 16)
TIMEOUT = 30.0


def expand(digest, secret, label, length):
    """Compute HKDF-Expand-Label (RFC 8446, section 7.1) with an empty context and one block."""
    label = b"tls13 " + label
    info = struct.pack("!HB", length, len(label)) + label + b"\0" + b"\x01"
    return hmac.digest(secret, info, digest)[:length]


def key_updates(secret, suite, count):
    """Return the records, each with sequence number 0 of the next keys."""
    digest, cipher, size = SUITES[suite]
    for _ in range(count):
        key, nonce = expand(digest, secret, b"key", size), expand(digest, secret, b"iv", 12)
        yield HEADER + cipher(key).encrypt(nonce, UPDATE, HEADER)
        secret = expand(digest, secret, b"traffic upd", digest().digest_size)


def client_secret(path):
    """Return the client's traffic secret from the key log."""
    with open(path, encoding="ascii") as file:
        return next(
            bytes.fromhex(line.split()[2])
            for line in file
            if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")
        )


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        context = ssl._create_unverified_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.keylog_filename = os.path.join(folder, "keys")
        with (
            socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock,
            context.wrap_socket(sock) as wrapped,
        ):
            suite, secret = wrapped.cipher()[0], client_secret(context.keylog_filename)
            # The server waits for a request up to its deadline.
            data = b"".join(key_updates(secret, suite, count))
            try:
                socket.socket.sendall(wrapped, data)
                ended = socket.socket.recv(wrapped, 1 << 16) == b""
            except ConnectionError:
                ended = True
            except TimeoutError:
                ended = False
    print("it ended" if ended else "it goes on")


if __name__ == "__main__":
    main()
