"""Users file that tests write, and its authenticator."""

import base64
import datetime
import os

from ganeti.http.errors import Unauthorized
from ganeti.rapi.auth.authenticator import Authenticator, UsersFile
from ganeti.rapi.auth.rights import Vocabulary

WORDS = Vocabulary(frozenset({"read", "write", "x", "instances.startup"}))
CHALLENGE = [("WWW-Authenticate", 'Basic realm="Ganeti Remote API"')]


def basic(name, password, encoding="utf-8"):
    """Return an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


class UsersFolder:
    """A users file in a folder, and a clock that is far from its time stamps."""

    def __init__(self, folder):
        self.path, self.old = folder / "users", folder / "rapi_users"
        self.now = 0
        self.stamp = 10**18
        self.slept = 0
        #: Called while a lookup waits for the file to settle.
        self.meanwhile = lambda: None
        self.users = UsersFile(
            [str(self.path), str(self.old)], WORDS, clock_ns=lambda: self.now, sleep=self.sleep
        )
        self.authenticator = Authenticator(
            self.users,
            today=lambda: datetime.datetime.fromtimestamp(
                self.now / 1e9, datetime.timezone.utc
            ).date(),
        )

    def write(self, text, path=None):
        """Write new content, an hour later."""
        path = path or self.path
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.stamp += 3600 * 10**9
        self.now = self.stamp + 10**10
        os.utime(path, ns=(self.stamp, self.stamp))

    def write_now(self, text):
        """Write new content, a moment ago."""
        self.write(text)
        self.now = self.stamp + 1

    def sleep(self, seconds):
        self.slept += 1
        self.now += int(seconds * 1e9)
        self.meanwhile()

    def options(self, name="jack", password="abc"):
        """Return the rights of a user who logs in; None if that fails."""
        try:
            return sorted(self.authenticator.authenticate(basic(name, password)).rights.whole)
        except Unauthorized:
            return None
