"""Credentials that are remembered, that wait, and that are slowed down."""

import base64
import configparser
import logging
import re
import threading

import pytest

from ganeti.http.errors import TooManyRequests, Unauthorized
from ganeti.rapi.auth import authenticator, passwords, throttle
from ganeti.rapi.auth.authenticator import REMEMBERED, Authenticator, UsersFile
from ganeti.rapi.auth.throttle import (
    FREE_TRIES,
    FREE_TRIES_OF_ADDRESS,
    MAX_WAITING,
    MAX_WAITING_OF_ADDRESS,
)
from ganeti.utils import log
from ganeti.utils.limits import PER_ADDRESS, PERIOD
from support import TOP

FAR = "192.0.2.1"


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def wait_for_callbacks(future):
    """Wait until the authenticator's own callbacks, which were added earlier, have run."""
    called = threading.Event()
    future.add_done_callback(lambda _: called.set())
    assert called.wait(20)


class ThrottledUsers:
    """A users file with cheap passwords, or with a costly one whose checks the test controls."""

    def __init__(self, folder, costly=False):
        self.now, self.path = 1000.0, folder / "users"
        self.checked, self.release = [], threading.Event()
        self.release.set()
        word = passwords.SCHEMES["scrypt"]("jack", "abc") if costly else "abc"
        self.path.write_text(f"jack {word}\njill def\n")
        self.authenticator = Authenticator(
            UsersFile([str(self.path)]), threads=1, clock=lambda: self.now
        )

    def ask(self, name="jack", password="abc", peer=FAR):
        """Return the user's name, or the status of the refusal."""
        try:
            found = self.authenticator.authenticate(basic(name, password), peer)
            if not hasattr(found, "result"):
                return found.name
            wait_for_callbacks(found)
            return found.result(20).name
        except (Unauthorized, TooManyRequests) as err:
            return err.code


@pytest.fixture
def users(tmp_path):
    return ThrottledUsers(tmp_path)


@pytest.fixture
def costly(tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "SCRYPT_N", 16)
    found = ThrottledUsers(tmp_path, costly=True)
    real = passwords._derive

    def derive(stored, password):
        found.checked.append(password)
        assert found.release.wait(20)
        return real(stored, password)

    monkeypatch.setattr(passwords, "_derive", derive)
    yield found
    found.release.set()
    for future in list(found.authenticator._checks.values()):
        wait_for_callbacks(future)  # else they log into the next test


def test_right_passwords_are_accepted_and_wrong_ones_refused(users):
    assert users.ask() == "jack" and users.ask("jill", "def") == "jill"
    assert users.ask(password="x") == users.ask("nobody") == users.ask(password="a" * 2000) == 401


def test_a_right_password_is_remembered_while_it_is_used(costly):
    assert costly.ask() == "jack" and len(costly.checked) == 1
    for _ in range(5):
        costly.now += REMEMBERED
        assert costly.ask() == "jack"
    assert len(costly.checked) == 1
    costly.now += REMEMBERED + 1
    assert costly.ask() == "jack" and len(costly.checked) == 2


def test_a_changed_line_invalidates_the_cache(costly):
    assert costly.ask() == "jack"
    costly.path.write_text("jack new\n")
    assert costly.ask() == 401


def test_every_name_costs_the_same(costly):
    for name, password in (("nobody", "abc"), ("jill", "def"), ("jack", "x"), ("jill", "x")):
        costly.checked.clear()
        costly.ask(name, password)
        assert len(costly.checked) == 1, name


def test_every_name_costs_the_same_where_schemes_are_mixed(costly, monkeypatch):
    monkeypatch.setattr(passwords, "ITERATIONS", 10)
    with costly.path.open("a") as file:
        print("joan", passwords.SCHEMES["pbkdf2-sha256"]("joan", "ghi"), file=file)
        print("none !", file=file)
    for name in ("jack", "jill", "joan", "none", "nobody"):
        costly.checked.clear()
        assert costly.ask(name, "x") == 401
        assert len(costly.checked) == 2, name
    assert costly.ask("joan", "ghi") == "joan" and costly.ask("none", "!") == 401


def test_a_hash_that_cannot_be_made_refuses_the_password(costly, monkeypatch, caplog):
    def derive(stored, password):
        raise ValueError("Invalid parameters")

    monkeypatch.setattr(passwords, "_derive", derive)
    assert costly.ask() == costly.ask("nobody") == costly.ask("jill", "x") == 401
    assert costly.ask("jill", "def") == "jill"
    assert "Cannot check a {scrypt} password: Invalid parameters" in caplog.text


def test_an_address_has_a_limited_share_of_the_queue(costly):
    costly.release.clear()
    asked = []
    with pytest.raises(TooManyRequests) as caught:
        while True:
            asked.append(costly.authenticator.authenticate(basic("jack", str(len(asked))), FAR))
    assert ("Retry-After", "1") in caught.value.headers
    # A thread may have taken one already.
    assert MAX_WAITING_OF_ADDRESS <= len(asked) <= MAX_WAITING_OF_ADDRESS + 1
    costly.release.set()
    for future in asked:
        with pytest.raises(Unauthorized):
            future.result(20)


def test_the_same_credentials_at_once_are_checked_once(costly):
    costly.release.clear()
    asked = [costly.authenticator.authenticate(basic("jack", "abc"), FAR) for _ in range(50)]
    elsewhere = costly.authenticator.authenticate(basic("jack", "abc"), "192.0.2.2")
    wrong = costly.authenticator.authenticate(basic("jack", "x"), FAR)
    costly.release.set()
    assert {future.result(20).name for future in [*asked, elsewhere]} == {"jack"}
    with pytest.raises(Unauthorized):
        wrong.result(20)
    assert sorted(costly.checked) == [b"abc", b"abc", b"x"]
    with pytest.raises(Unauthorized):  # and a wrong one is not remembered
        costly.authenticator.authenticate(basic("jack", "x"), FAR).result(20)


def test_an_address_that_failed_before_is_checked_last(costly):
    assert costly.ask(password="wrong") == 401
    costly.checked.clear()
    costly.release.clear()
    first = costly.authenticator.authenticate(basic("jill", "x"), "192.0.2.9")
    while not costly.checked:
        threading.Event().wait(0.01)  # the only thread is at work now
    later = costly.authenticator.authenticate(basic("jack", "again"), FAR)
    before = costly.authenticator.authenticate(basic("jack", "abc"), "192.0.2.8")
    costly.release.set()
    assert before.result(20).name == "jack"
    for future in (first, later):
        with pytest.raises(Unauthorized):
            future.result(20)
    assert costly.checked == [b"x", b"abc", b"again"]


def test_an_expired_user_fails_like_a_wrong_password(users):
    users.path.write_text("jack abc read,expires=2020-01-31\n")
    assert [users.ask() for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    assert users.ask() == 429


def test_guessing_is_throttled_only_for_its_address(users):
    assert [users.ask(password="x") for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    assert users.ask(password="x") == 429 == users.ask()
    assert users.ask(peer="192.0.2.2") == "jack" and users.ask("jill", "def") == "jill"
    users.now += 1.0
    assert users.ask(password="x") == 401  # and the next pause is longer
    users.now += 1.0
    assert users.ask(password="x") == 429
    users.now += 1.0
    assert users.ask() == "jack" == users.ask()


def test_a_pause_ends(users):
    for _ in range(100):
        users.ask(password="x")
        users.now += throttle.MAX_PAUSE
    assert users.ask() == "jack"


def test_remembered_credentials_are_not_throttled(users):
    assert users.ask() == "jack"
    for _ in range(2 * FREE_TRIES):
        users.ask(password="x")
    assert users.ask(password="x") == 429 and users.ask() == "jack"


def test_a_failure_a_minute_is_forgiven(users):
    for number in range(3 * FREE_TRIES_OF_ADDRESS):
        assert users.ask(password="x") == users.ask(f"user{number}") == 401
        users.now += 2 * throttle.FORGIVEN
    assert users.ask() == "jack"


def test_names_of_failures_are_not_kept(users):
    users.ask("n" * 1000)
    assert "nnn" not in repr(users.authenticator._throttle._failures)


def test_many_names_from_one_address_are_throttled(users):
    for number in range(FREE_TRIES_OF_ADDRESS):
        assert users.ask(f"user{number}") == 401
    assert users.ask("another") == 429 == users.ask()
    assert users.ask(peer="192.0.2.2") == "jack"


def test_addresses_of_one_ipv6_network_are_throttled_together(users):
    for number in range(FREE_TRIES):
        assert users.ask(password="x", peer=f"2001:db8::{number:x}") == 401
    assert users.ask(peer="2001:db8::ffff") == 429
    assert users.ask(peer="2001:db8:0:1::1") == "jack"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", ""])
def test_this_machine_is_not_throttled(users, peer):
    for _ in range(3 * FREE_TRIES_OF_ADDRESS):
        assert users.ask(password="x", peer=peer) == 401


def test_a_certificate_authenticates_the_user_it_names(users):
    assert users.authenticator.certified("jack").name == "jack"
    assert users.authenticator.certified("nobody") is None


def test_remembered_failures_and_passwords_are_bounded(users, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_FAILURES", 10)
    monkeypatch.setattr(authenticator, "MAX_KNOWN", 1)
    for number in range(50):
        users.ask(f"user{number}", peer=f"192.0.2.{number}")
    assert len(users.authenticator._throttle._failures) == 10
    assert users.ask() == "jack" and users.ask("jill", "def") == "jill"
    assert len(users.authenticator._known) == 1


# -- refusals are logged ----------------------------------------------------------------


def lines(caplog):
    """Return the lines that were logged since the last call."""
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


@pytest.mark.parametrize(
    "kind", [ThrottledUsers, lambda folder: ThrottledUsers(folder, costly=True)]
)
def test_a_wrong_password_leaves_a_line_with_user_and_address(tmp_path, monkeypatch, caplog, kind):
    monkeypatch.setattr(passwords, "SCRYPT_N", 16)
    users = kind(tmp_path)
    users.authenticator.authenticate(basic("jill", "def"), FAR)
    caplog.clear()
    assert users.ask(password="x") == users.ask("nobody", peer="2001:db8::1") == 401
    assert lines(caplog) == [
        f"Authentication failed for user 'jack' from {FAR}",
        "Authentication failed for user 'nobody' from 2001:db8::1",
    ]


def test_accepted_credentials_are_not_logged(users, caplog):
    users.authenticator.certified("jill")
    caplog.clear()
    assert users.ask() == "jack" and users.authenticator.certified("nobody") is None
    assert lines(caplog) == []


def test_a_pause_leaves_a_line_with_its_length(users, caplog):
    for _ in range(FREE_TRIES + 1):
        users.ask(password="x")
    assert lines(caplog)[-1] == (
        f"Too many wrong passwords from this address: refusing user 'jack' from {FAR} for 2 s"
    )


def fill(costly, count, address):
    """Keep the only thread busy, and let checks wait behind it."""
    costly.release.clear()
    costly.authenticator.authenticate(basic("jack", "first"), "192.0.2.200")
    while not costly.checked:
        threading.Event().wait(0.01)
    return [
        costly.authenticator.authenticate(basic("jack", f"x{n}"), address.format(n))
        for n in range(count)
    ]


WAITS = "Too many passwords wait to be checked: refusing user 'jack' from {} for 1 s"


def test_too_many_checks_of_one_address_leave_a_line(costly, caplog):
    fill(costly, MAX_WAITING_OF_ADDRESS, FAR)
    assert costly.ask(password="y") == 429
    assert lines(caplog)[-1] == WAITS.format(FAR)


def test_a_displaced_check_leaves_a_line(costly, caplog):
    *_, last = fill(costly, MAX_WAITING, "192.0.3.{}")
    costly.authenticator.authenticate(basic("jill", "def"), FAR)
    with pytest.raises(TooManyRequests):
        last.result(20)
    assert lines(caplog)[-1] == WAITS.format(f"192.0.3.{MAX_WAITING - 1}")


def test_a_header_that_names_nobody_leaves_a_line_without_user(users, caplog):
    for header in ("Basic !!!", "Bearer abc", "Basic YWJj"):
        with pytest.raises(Unauthorized):
            users.authenticator.authenticate(header, FAR)
    assert [line.partition(": ")[0] for line in lines(caplog)] == [
        f"Authentication failed from {FAR}"
    ] * 3


def test_a_password_that_is_too_long_leaves_a_line_without_it(users, caplog):
    users.ask(password="secret" * 1000)
    assert lines(caplog) == [f"Authentication failed for user 'jack' from {FAR}"]


def test_a_long_name_is_logged_shortened(users, caplog):
    users.ask("n" * 5000, "x")
    assert lines(caplog) == [f"Authentication failed for user '{'n' * 64}...' from {FAR}"]


def test_guessing_does_not_fill_the_log_and_every_address_is_logged(users, caplog):
    for number in range(100):
        users.ask(f"user{number}", "x")
        users.ask("jack", "x", peer=f"192.0.3.{number}")
    found = lines(caplog)
    assert sum(FAR in line for line in found) == PER_ADDRESS
    assert sum("from 192.0.3." in line for line in found) == 100
    users.now += PERIOD
    users.ask()  # the right one, too, has the rest called
    assert "90 more lines about refused credentials suppressed" in lines(caplog)[0]


def test_an_expired_user_is_logged_once_an_hour(users, caplog):
    users.path.write_text("jack {ha1}" + passwords.ha1("jack", "abc") + " read,expires=2020-01-31")
    for _ in range(3):
        users.ask()
        with pytest.raises(Unauthorized):
            users.authenticator.certified("jack", "192.0.2.7")
    found = lines(caplog)
    assert found.count("Refusing user jack, who has expired") == 1
    assert "Authentication failed for user 'jack' from 192.0.2.7" in found
    users.now += 3600.0
    users.ask()
    assert "Refusing user jack, who has expired" in lines(caplog)


# -- the filter for fail2ban ------------------------------------------------------------


def banned(line):
    """Return the address that fail2ban would count for a line; None if it ignores the line.

    As it works: the part of the line that is the time is cut out before the expressions are
    tried. The file was tried with fail2ban 1.0.2 itself.
    """
    text = (TOP / "doc/examples/ganeti-rapi.fail2ban").read_text()
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    rules = parser["Definition"]
    for pattern in rules["datepattern"].splitlines():
        pattern = re.sub("%%[YmdHMSf]", r"\\d+", pattern)
        found = re.search(pattern, line)
        if found:
            start, end = found.span(1 if re.compile(pattern).groups else 0)
            line = line[:start] + line[end:]
            break
    for rule in rules["failregex"].splitlines():
        rule = rule.replace("<what>", rules["what"]).replace("<HOST>", r"(?P<host>[0-9a-f.:]+)")
        found = re.search(rule, line)
        if found:
            return found["host"]
    return None


@pytest.fixture(params=["text", "json", "debug"])
def formatted(request, caplog):
    """Return the lines as a daemon's log has them."""
    formatter = (
        log.JsonFormatter("ganeti-rapi")
        if request.param == "json"
        else (
            log.OneLineFormatter(
                (log.FORMAT_DEBUG if request.param == "debug" else log.FORMAT).format(
                    program="ganeti-rapi"
                )
            )
        )
    )
    return lambda: [formatter.format(record) for record in caplog.records]


@pytest.mark.parametrize(
    "name",
    [
        "jack",
        "",
        "j\u00f6rg",
        "' from 198.51.100.1",
        "' from 198.51.100.1 for 3 s",
        "\\",
        "\\'",
        'a","message":"x',
        "x' from 198.51.100.1\r2026",
        "%s",
        "\u202ex",
        "n" * 100,
    ],
)
def test_the_filter_finds_the_address_whatever_the_name_is(users, formatted, name):
    header = "Basic " + base64.b64encode(f"{name}:x".encode()).decode()
    found = users.authenticator
    if "\r" in name:  # the front refuses it before; other text may not
        found._log_refusal(name, FAR, Unauthorized())
    else:
        with pytest.raises(Unauthorized):
            found.authenticate(header, FAR)
    assert [banned(line) for line in formatted()] == [FAR]


def test_the_filter_finds_the_address_of_guesses_within_a_pause(users, formatted):
    for _ in range(FREE_TRIES + 2):
        users.ask(password="x", peer="2001:db8::7")
    assert [banned(line) for line in formatted()] == ["2001:db8::7"] * (FREE_TRIES + 2)


def test_the_filter_matches_no_other_line(users, formatted, caplog):
    caplog.set_level(logging.INFO)
    forged = "ganeti-rapi pid=1 WARNING Authentication failed for user 'x' from 198.51.100.1"
    for text in (
        forged,
        f": {forged}",
        f"User x has no right y:{forged}",
        f"\n: {forged}",
        f'"message":"{forged}',
        f"{FAR}:80 GET / HTTP/1.1 401",
        f"Authentication failed from {FAR}: no Base64",
        f"Too many passwords wait to be checked: refusing user 'x' from {FAR} for 1 s",
    ):
        logging.info("%s", text)
        logging.warning("%s", text)
    assert [banned(line) for line in formatted()] == [None] * 16
