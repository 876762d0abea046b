"""Credentials: what is remembered, what waits, what is slowed down."""

import base64
import threading

import pytest

from ganeti.http import guard as guard_module
from ganeti.http import passwords
from ganeti.http.auth import UsersFile
from ganeti.http.errors import TooManyRequests, Unauthorized
from ganeti.http.guard import FREE_TRIES, FREE_TRIES_OF_ADDRESS, REMEMBERED, Guard
from ganeti.http.line import MAX_WAITING_OF_ADDRESS

FAR = "192.0.2.1"


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Scene:
    """A users file with cheap passwords, or with a costly one whose checks the test sees."""

    def __init__(self, folder, costly=False):
        self.now, self.path = 1000.0, folder / "users"
        self.checked, self.go_on = [], threading.Event()
        self.go_on.set()
        word = passwords.SCHEMES["scrypt"]("jack", "abc") if costly else "abc"
        self.path.write_text(f"jack {word}\njill def\n")
        self.guard = Guard(UsersFile([str(self.path)]), threads=1, clock=lambda: self.now)

    def ask(self, name="jack", password="abc", peer=FAR):
        """What comes of it: the user's name, or the status."""
        try:
            found = self.guard.authenticate(basic(name, password), peer)
            return (found if not hasattr(found, "result") else found.result(20)).name
        except (Unauthorized, TooManyRequests) as err:
            return err.code


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.fixture
def costly(tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "SCRYPT_N", 16)
    found = Scene(tmp_path, costly=True)
    real = passwords._derive

    def derive(stored, password):
        found.checked.append(password)
        assert found.go_on.wait(20)
        return real(stored, password)
    monkeypatch.setattr(passwords, "_derive", derive)
    yield found
    found.go_on.set()


def test_right_and_wrong(scene):
    assert scene.ask() == "jack" and scene.ask("jill", "def") == "jill"
    assert scene.ask(password="x") == scene.ask("nobody") == scene.ask(password="a" * 2000) == 401


def test_what_was_right_is_remembered_for_a_while_of_use(costly):
    assert costly.ask() == "jack" and len(costly.checked) == 1
    for _ in range(5):
        costly.now += REMEMBERED
        assert costly.ask() == "jack"
    assert len(costly.checked) == 1
    costly.now += REMEMBERED + 1
    assert costly.ask() == "jack" and len(costly.checked) == 2


def test_a_changed_line_forgets(costly):
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


def test_a_hash_that_cannot_be_made_is_wrong(costly, monkeypatch, caplog):
    def derive(stored, password):
        raise ValueError("Invalid parameters")
    monkeypatch.setattr(passwords, "_derive", derive)
    assert costly.ask() == costly.ask("nobody") == costly.ask("jill", "x") == 401
    assert costly.ask("jill", "def") == "jill"
    assert "A {scrypt} password cannot be checked: Invalid parameters" in caplog.text


def test_an_address_has_its_share_of_the_line(costly):
    costly.go_on.clear()
    asked = []
    with pytest.raises(TooManyRequests) as caught:
        while True:
            asked.append(costly.guard.authenticate(basic("jack", str(len(asked))), FAR))
    assert ("Retry-After", "1") in caught.value.headers
    # One may be at work already.
    assert MAX_WAITING_OF_ADDRESS <= len(asked) <= MAX_WAITING_OF_ADDRESS + 1
    costly.go_on.set()
    for future in asked:
        with pytest.raises(Unauthorized):
            future.result(20)


def test_who_opens_many_connections_at_once_waits_once(costly):
    costly.go_on.clear()
    asked = [costly.guard.authenticate(basic("jack", "abc"), FAR) for _ in range(50)]
    elsewhere = costly.guard.authenticate(basic("jack", "abc"), "192.0.2.2")
    wrong = costly.guard.authenticate(basic("jack", "x"), FAR)
    costly.go_on.set()
    assert {future.result(20).name for future in [*asked, elsewhere]} == {"jack"}
    with pytest.raises(Unauthorized):
        wrong.result(20)
    assert sorted(costly.checked) == [b"abc", b"abc", b"x"]
    with pytest.raises(Unauthorized):                   # and a wrong one is not remembered
        costly.guard.authenticate(basic("jack", "x"), FAR).result(20)


def test_who_failed_before_stands_behind(costly):
    assert costly.ask(password="wrong") == 401
    costly.checked.clear()
    costly.go_on.clear()
    first = costly.guard.authenticate(basic("jill", "x"), "192.0.2.9")
    while not costly.checked:
        threading.Event().wait(0.01)            # the only thread is at work now
    later = costly.guard.authenticate(basic("jack", "again"), FAR)
    before = costly.guard.authenticate(basic("jack", "abc"), "192.0.2.8")
    costly.go_on.set()
    assert before.result(20).name == "jack"
    for future in (first, later):
        with pytest.raises(Unauthorized):
            future.result(20)
    assert costly.checked == [b"x", b"abc", b"again"]


def test_who_has_expired_fails_like_a_wrong_password(scene):
    scene.path.write_text("jack abc read,expires=2020-01-31\n")
    assert [scene.ask() for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    assert scene.ask() == 429


def test_guessing_gets_slower_but_only_from_there(scene):
    assert [scene.ask(password="x") for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    assert scene.ask(password="x") == 429 == scene.ask()
    assert scene.ask(peer="192.0.2.2") == "jack" and scene.ask("jill", "def") == "jill"
    scene.now += 1.0
    assert scene.ask(password="x") == 401       # and the next pause is longer
    scene.now += 1.0
    assert scene.ask(password="x") == 429
    scene.now += 1.0
    assert scene.ask() == "jack" == scene.ask()


def test_a_pause_has_an_end(scene):
    for _ in range(100):
        scene.ask(password="x")
        scene.now += guard_module.MAX_PAUSE
    assert scene.ask() == "jack"


def test_who_is_known_is_not_slowed_down(scene):
    assert scene.ask() == "jack"
    for _ in range(2 * FREE_TRIES):
        scene.ask(password="x")
    assert scene.ask(password="x") == 429 and scene.ask() == "jack"


def test_a_failure_a_minute_is_forgiven(scene):
    for number in range(3 * FREE_TRIES_OF_ADDRESS):
        assert scene.ask(password="x") == scene.ask(f"user{number}") == 401
        scene.now += 2 * guard_module.FORGIVEN
    assert scene.ask() == "jack"


def test_names_are_not_kept(scene):
    scene.ask("n" * 1000)
    assert "nnn" not in repr(scene.guard._failures)


def test_many_names_from_one_address(scene):
    for number in range(FREE_TRIES_OF_ADDRESS):
        assert scene.ask(f"user{number}") == 401
    assert scene.ask("another") == 429 == scene.ask()
    assert scene.ask(peer="192.0.2.2") == "jack"


def test_addresses_of_one_network_are_one(scene):
    for number in range(FREE_TRIES):
        assert scene.ask(password="x", peer=f"2001:db8::{number:x}") == 401
    assert scene.ask(peer="2001:db8::ffff") == 429
    assert scene.ask(peer="2001:db8:0:1::1") == "jack"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", ""])
def test_this_machine_is_not_slowed_down(scene, peer):
    for _ in range(3 * FREE_TRIES_OF_ADDRESS):
        assert scene.ask(password="x", peer=peer) == 401


def test_whom_a_certificate_names(scene):
    assert scene.guard.certified("jack").name == "jack"
    assert scene.guard.certified("nobody") is None


def test_memory_is_bounded(scene, monkeypatch):
    monkeypatch.setattr(guard_module, "MAX_FAILURES", 10)
    monkeypatch.setattr(guard_module, "MAX_KNOWN", 1)
    for number in range(50):
        scene.ask(f"user{number}", peer=f"192.0.2.{number}")
    assert len(scene.guard._failures) == 10
    assert scene.ask() == "jack" and scene.ask("jill", "def") == "jill"
    assert len(scene.guard._known) == 1
