"""ganeti-cluster: the command line, what it says, and its exit codes."""

import os
from pathlib import Path

import pytest

from ganeti.config.config import Config
from ganeti.daemon import DaemonError
from ganeti.db.store import Store
from ganeti.layout import Owners
from ganeti.pathutils import Paths
from ganeti.server import cluster
from support.backup import make_filled_cluster
from support.cluster import make_paths


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Return a function that runs a command below a new root: exit code, output, errors."""
    monkeypatch.setenv("GANETI_ROOTDIR", str(tmp_path))
    monkeypatch.setenv("GANETI_HOSTNAME", "this.example.com")
    certificate = Path(make_paths(tmp_path).rapi_cert)
    certificate.parent.mkdir(parents=True)
    certificate.write_text("kept\n")

    def run(*arguments):
        code = cluster.main(arguments)
        return code, *capfd.readouterr()

    return run


def configuration(root):
    store = Store.open(make_paths(root).master_db)
    config = Config(store, make_paths(root))
    config.ssconf.flush()
    store.close()
    return config


def test_a_cluster_is_created_and_the_next_steps_are_told(command, tmp_path):
    code, out, err = command("init", "cluster.example.com")
    assert (code, err) == (0, "")
    assert "cluster.example.com is created" in out
    for words in ("rapi-passwd", "ganeti-masterd", "ganeti-rapi"):
        assert words in out
    assert configuration(tmp_path).cluster.name == "cluster.example.com"


def test_hooks_that_are_there_are_told_to_be_of_no_effect(command, tmp_path):
    script = tmp_path / "etc/ganeti/hooks/instance-add-post.d/firewall"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    _, out, _ = command("init", "cluster.example.com")
    assert "holds 1 script (instance-add-post.d/firewall)" in out and "runs no hooks" in out


def test_the_first_node_is_this_machine_by_its_name(command, tmp_path):
    command("init", "cluster.example.com")
    assert [node.name for node in configuration(tmp_path).nodes()] == ["this.example.com"]


def test_options_reach_the_configuration(command, tmp_path):
    code, _, _ = command(
        "init",
        "--node",
        "n1",
        "--node",
        "n2:64G:2T:16",
        "--enabled-hypervisors",
        "fake",
        "--enabled-disk-templates",
        "drbd, diskless",
        "--master-netdev",
        "eth1",
        "--mac-prefix",
        "02:00:01",
        "--file-storage-dir",
        str(tmp_path / "disks"),
        "c",
    )
    found = configuration(tmp_path)
    assert code == 0
    assert [node.name for node in found.nodes()] == ["n1", "n2"]
    assert found.node("n2").capacity == {"memory": 65536, "disk": 2097152, "cpus": 16}
    assert found.cluster.enabled_disk_templates == ["drbd", "diskless"]
    assert (found.cluster.master_netdev, found.cluster.mac_prefix) == ("eth1", "02:00:01")
    assert found.cluster.file_storage_dir == str(tmp_path / "disks")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["c", "--enabled-hypervisors", "kvm9"], "no such hypervisor here: kvm9"),
        (["c", "--node", "n:1"], "NAME:MEMORY:DISK:CPUS"),
        (["c d"], "name of a cluster"),
    ],
)
def test_a_refusal_is_one_clear_line(command, tmp_path, arguments, words):
    code, out, err = command("init", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("ganeti-cluster: ") and words in err
    assert not os.path.exists(make_paths(tmp_path).master_db)


def test_a_second_time_is_refused(command):
    command("init", "c")
    code, out, err = command("init", "c")
    assert (code, out) == (1, "") and "already" in err


@pytest.mark.parametrize("arguments", [[], ["init"], ["destroy"], ["init", "c", "--no"]])
def test_a_wrong_command_line_is_told(command, arguments):
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2


def test_the_version_is_told(command, capfd):
    with pytest.raises(SystemExit) as caught:
        command("--version")
    assert caught.value.code == 0 and "ganeti-rapi" in capfd.readouterr().out


# -- backup, restore -----------------------------------------------------------------------


def test_a_backup_is_restored(command, tmp_path):
    command("init", "cluster.example.com")
    code, out, err = command("backup", f"{tmp_path}/saved")
    assert (code, err) == (0, "")
    assert out == (
        f"{tmp_path}/saved holds the cluster cluster.example.com: 1 node, 0 instances, 0 jobs.\n"
    )
    code, out, err = command("restore", f"{tmp_path}/saved")
    assert (code, err) == (0, "")
    for words in ("Restored from", "is kept as", "Job ids continue at 1.", "ganeti-masterd"):
        assert words in out
    assert configuration(tmp_path).cluster.name == "cluster.example.com"


def test_whoever_has_secrets_is_told_about_the_key(command, tmp_path):
    make_filled_cluster(tmp_path)
    _, out, _ = command("backup", f"{tmp_path}/saved")
    assert "secrets of 1 instance, encrypted with" in out and "backup.key" in out
    _, out, _ = command("restore", "--without-secrets", f"{tmp_path}/saved")
    assert "Instances without private OS parameters: web.example.com." in out
    assert "end in error and will not run: 1-2." in out


def test_what_is_not_known_of_ids_is_told(command, tmp_path):
    command("init", "c")
    command("backup", f"{tmp_path}/saved")
    os.unlink(make_paths(tmp_path).master_db)
    code, out, _ = command("restore", f"{tmp_path}/saved")
    assert code == 0 and "at 1000001; which ones were used since the backup is not known" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["backup", "-"], "not the name of a file"),
        (["backup", "x"], "no cluster on this machine"),
        (["restore", "nonexistent"], "there is no file nonexistent"),
        (["restore", "/etc/passwd"], "not a database"),
    ],
)
def test_a_refused_backup_or_restoration_is_one_line(command, arguments, words):
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("ganeti-cluster: ") and words in err


# -- owners ----------------------------------------------------------------------------


def test_who_is_not_root_owns_everything(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cluster.find_owners(Paths()) == (Owners(), "")


def test_below_a_root_of_its_own_root_keeps_everything(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cluster.find_owners(make_paths(tmp_path)) == (Owners(), "")


def accounts(monkeypatch, found):
    """Make the search for users and group return this, or raise it if it is an error."""

    def find(users):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cluster.privileges, "find_accounts", find)


def test_root_gives_the_files_to_the_configured_users(monkeypatch):
    accounts(monkeypatch, ((101, 102), 103))
    assert cluster.find_owners(Paths()) == (Owners(101, 102, 103), "")


def test_without_these_users_the_remark_says_how_to_make_them(monkeypatch):
    accounts(monkeypatch, None)
    owners, remark = cluster.find_owners(Paths())
    assert owners == Owners() and "everything belongs to root" in remark
    assert "ganeti-cluster ensure-dirs" in remark


def test_half_of_the_users_is_an_error(command, monkeypatch):
    accounts(monkeypatch, DaemonError("as root: useradd"))
    monkeypatch.setattr(Paths, "user", lambda _, user: user)
    assert command("init", "c") == (1, "", "ganeti-cluster: as root: useradd\n")


# -- files and certificate ---------------------------------------------------------------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may set owners")


@needs_root
def test_modes_are_mended_and_told(command, tmp_path):
    paths = make_paths(tmp_path)
    command("init", "c")
    assert command("ensure-dirs") == (0, "nothing to do\n", "")
    os.chmod(paths.socket_dir, 0o777)
    os.rmdir(paths.os_log_dir)
    expected = f"{paths.os_log_dir}: made, mode 0750\n{paths.socket_dir}: mode 0777 -> 0750\n"
    assert command("ensure-dirs", "--dry-run") == (0, "Would change:\n" + expected, "")
    assert command("ensure-dirs") == (0, expected, "")
    assert command("ensure-dirs") == (0, "nothing to do\n", "")


@needs_root
def test_what_is_left_alone_is_an_error(command, tmp_path):
    command("init", "c")
    paths = make_paths(tmp_path)
    os.symlink("/etc/passwd", paths.backup_key)
    code, out, err = command("ensure-dirs")
    assert (code, out) == (1, "")
    assert err == f"ganeti-cluster: {paths.backup_key}: a symbolic link, so left alone\n"


def test_a_new_certificate_is_told(command, tmp_path):
    command("init", "cluster.example.com")
    code, out, err = command("renew-certificate")
    assert (code, err) == (0, "")
    for words in (
        "for cluster.example.com, this.example.com",
        "GMT",
        "fingerprint",
        "rapi.pem.before-",
        "systemctl reload ganeti-rapi",
        "kill -HUP",
    ):
        assert words in out


def test_another_first_node_is_remarked(command):
    _, out, _ = command("init", "--node", "node9", "c")
    assert "this machine is called this.example.com now" in out
    assert "GANETI_HOSTNAME=node9" in out
