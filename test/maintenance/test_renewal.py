"""Renewal of the certificate: its names, the old file, refusals."""

import os
import stat
from pathlib import Path

import pytest

from ganeti import certificate
from ganeti.layout import Owners
from ganeti.maintenance import renewal
from ganeti.maintenance.renewal import RenewalError
from support.cluster import CLUSTER, make_cluster, make_paths

NOON = 1_700_000_000.0


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("GANETI_HOSTNAME", "today.example.com")
    make_cluster(tmp_path)[0].close()
    return make_paths(tmp_path)


def renew(paths, **options):
    return renewal.renew(paths, clock=lambda: NOON, **options)


def entries(paths):
    return [name for name in sorted(os.listdir(paths.lib_dir)) if name.startswith("rapi.pem")]


def test_a_new_certificate_has_todays_names(paths):
    done = renew(paths)
    assert done.names == [CLUSTER, "node1.example.com", "today.example.com"]
    facts = certificate.facts(Path(paths.rapi_cert).read_bytes())
    assert (facts["end"], facts["fingerprint"]) == (done.end, done.fingerprint)


def test_the_old_certificate_is_kept_unreadable_to_others(paths):
    before = Path(paths.rapi_cert).read_text()
    done = renew(paths)
    assert done.kept is not None and done.kept.startswith(f"{paths.rapi_cert}.before-2023")
    assert Path(done.kept).read_text() == before
    assert stat.S_IMODE(os.stat(done.kept).st_mode) == 0o600
    assert renew(paths).kept == f"{done.kept}-2"


@pytest.mark.parametrize("before, after", [(0o640, 0o640), (0o600, 0o600), (0o444, 0o640)])
def test_others_never_read_the_key(paths, before, after):
    os.chmod(paths.rapi_cert, before)
    renew(paths)
    assert stat.S_IMODE(os.stat(paths.rapi_cert).st_mode) == after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(
    "owners, owner", [(Owners(), (4009, 4010)), (Owners(4001, 4002, 4003), (4002, 4003))]
)
def test_a_new_certificate_belongs_to_the_front(paths, owners, owner):
    os.chown(paths.rapi_cert, 4009, 4010)
    renew(paths, owners=owners)
    found = os.stat(paths.rapi_cert)
    assert (found.st_uid, found.st_gid) == owner


def test_a_missing_certificate_is_made(paths):
    os.unlink(paths.rapi_cert)
    assert renew(paths).kept is None and entries(paths) == ["rapi.pem"]


def test_without_a_readable_database_the_ssconf_files_tell_the_names(paths):
    Path(paths.master_db).write_bytes(b"rubbish" * 1000)
    assert renew(paths).names[:2] == [CLUSTER, "node1.example.com"]


def test_a_certificate_of_an_authority_is_replaced_only_by_force(paths):
    renew(paths)
    own = Path(paths.rapi_cert).read_bytes()
    Path(paths.rapi_cert).write_bytes(own + own)  # two certificates look like a chain
    before = entries(paths)
    with pytest.raises(RenewalError, match="issued by an authority.*--force"):
        renew(paths)
    assert entries(paths) == before and Path(paths.rapi_cert).read_bytes() == own + own
    assert renew(paths, force=True).kept


def test_a_link_is_replaced_only_by_force_and_its_target_stays(paths, tmp_path):
    os.rename(paths.rapi_cert, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", paths.rapi_cert)
    with pytest.raises(RenewalError, match="a symbolic link to .*elsewhere"):
        renew(paths)
    renew(paths, force=True)
    assert not os.path.islink(paths.rapi_cert) and (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (
            lambda paths: Path(paths.lib_dir, "config.data").touch(),
            "gnt-cluster renew-crypto --new-rapi-certificate",
        ),
        (lambda paths: os.unlink(paths.master_db), "there is no cluster on this machine"),
        (
            lambda paths: os.unlink(paths.rapi_cert) or os.mkfifo(paths.rapi_cert),
            "not a regular file",
        ),
    ],
)
def test_a_refused_renewal_changes_nothing(paths, spoil, words):
    spoil(paths)
    before = entries(paths)
    with pytest.raises(RenewalError, match=words):
        renew(paths, force=True)
    assert entries(paths) == before


def test_a_missing_openssl_leaves_the_old_certificate(paths, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    before = Path(paths.rapi_cert).read_text()
    with pytest.raises(RenewalError, match="the program openssl is missing"):
        renew(paths, force=True)
    assert Path(paths.rapi_cert).read_text() == before and entries(paths) == ["rapi.pem"]
