"""Secrets: extracted from the configuration, encrypted, and put back with the right key."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganeti.db.store import Store
from ganeti.maintenance import check, encrypted_secrets
from ganeti.maintenance.encrypted_secrets import PLACEHOLDER, WrongKey
from support.backup import CANARIES, make_filled_cluster, query_database

SECRETS = {"u1": {"private": {"a": "canary", "b": {"deep": ["x", 1]}}, "disks": {"d": "s"}}}


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    return str(tmp_path / "key")


@pytest.fixture
def store(tmp_path):
    store = Store.open(make_filled_cluster(tmp_path).master_db)
    yield store
    store.close()


def test_encrypted_secrets_can_be_decrypted(key):
    encrypted = encrypted_secrets.encrypt(SECRETS, key)
    assert (
        "canary" not in encrypted["text"] and encrypted_secrets.decrypt(encrypted, key) == SECRETS
    )
    assert encrypted_secrets.encrypt(SECRETS, key)["text"] != encrypted["text"]


def test_another_key_decrypts_nothing(key, tmp_path):
    encrypted = encrypted_secrets.encrypt(SECRETS, key)
    (tmp_path / "other").write_text("ba" * 32 + "\n")
    with pytest.raises(WrongKey, match="not the key"):
        encrypted_secrets.decrypt(encrypted, str(tmp_path / "other"))
    with pytest.raises(WrongKey, match="missing"):
        encrypted_secrets.decrypt(encrypted, str(tmp_path / "nonexistent"))


def test_a_changed_text_is_not_decrypted(key):
    encrypted = encrypted_secrets.encrypt(SECRETS, key)
    with pytest.raises(WrongKey):
        encrypted_secrets.decrypt({**encrypted, "text": encrypted["text"].swapcase()}, key)


def test_no_secret_is_on_the_command_line(key, monkeypatch):
    seen = []
    real = encrypted_secrets.process.output_of
    monkeypatch.setattr(
        encrypted_secrets.process,
        "output_of",
        lambda argv, **more: seen.extend(argv) or real(argv, **more),
    )
    encrypted_secrets.decrypt(encrypted_secrets.encrypt(SECRETS, key), key)
    assert seen and not [word for word in seen if "canary" in word or "abab" in word]


def test_secrets_are_extracted_and_put_back(store):
    with store.read() as connection:
        before = check.load_objects(connection)
    extracted = store.write(encrypted_secrets.extract).result()
    with store.read() as connection:
        web = next(
            value
            for value in check.load_objects(connection).instances
            if value.name == "web.example.com"
        )
        assert encrypted_secrets.owners(connection) == (["web.example.com"], ["web.example.com"])
    assert web.osparams_private == {"password": PLACEHOLDER}
    assert web.disks[0].logical_id[5] == PLACEHOLDER
    assert list(extracted.values()) == [
        {"private": {"password": CANARIES[0]}, "disks": {"d1": CANARIES[1]}}
    ]
    store.write(lambda connection: encrypted_secrets.put_back(connection, extracted)).result()
    with store.read() as connection:
        assert check.load_objects(connection) == before and check.full(connection) == []


def test_a_secret_that_was_not_encrypted_is_missed(store):
    with pytest.raises(WrongKey, match="web.example.com"):
        store.write(lambda connection: encrypted_secrets.put_back(connection, {})).result()


def test_keys_made_at_the_same_time_are_one_key(tmp_path):
    paths = make_filled_cluster(tmp_path)
    with ThreadPoolExecutor() as pool:
        keys = {
            open(path).read()
            for path in pool.map(lambda _: encrypted_secrets.own_key(paths), range(8))
        }
    assert len(keys) == 1 and stat.S_IMODE(os.stat(paths.backup_key).st_mode) == 0o600
    assert query_database(paths, check.full) == []
