"""The master as a daemon object: starting, refusing to start, stopping."""

import os
import sqlite3
import threading

import pytest

from ganeti import daemon, errors, luxi, opcodes
from ganeti.db import schema
from ganeti.server import masterd
from support.cluster import make_cluster, make_paths


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("GANETI_HOSTNAME", "node1.example.com")
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    return make_paths(tmp_path)


def test_it_starts_serves_and_stops(paths):
    master = masterd.MasterDaemon(paths)
    master.start()
    thread = threading.Thread(target=master.serve)
    thread.start()
    client = luxi.Client(paths.query_socket)
    assert client.call(luxi.QueryConfigValues(["cluster_name"])) == ["cluster.example.com"]
    assert oct(os.stat(paths.query_socket).st_mode & 0o777) == "0o660"
    client.close()
    master.stop()
    thread.join(30)
    master.finish()
    assert not thread.is_alive()


def test_two_masters_on_one_database_cannot_be(paths):
    master = masterd.MasterDaemon(paths)
    master.start()
    other = os.fork()
    if other == 0:  # locks are a process's own
        try:
            masterd.MasterDaemon(paths)._lock_database()
        except daemon.DaemonError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
    master.finish()


def test_without_a_cluster_it_says_what_to_type(tmp_path):
    with pytest.raises(daemon.DaemonError, match="ganeti-cluster init") as caught:
        masterd.MasterDaemon(make_paths(tmp_path)).check_role()
    assert caught.value.exit_code == 12


def test_a_real_ganeti_is_left_alone(paths):
    open(f"{paths.lib_dir}/config.data", "w").close()
    with pytest.raises(daemon.DaemonError, match="belongs to a Ganeti cluster") as caught:
        masterd.MasterDaemon(paths).check_role()
    assert caught.value.exit_code == 1 and not os.path.exists(paths.master_lock)


def test_a_renamed_machine_is_told_both_names(paths, monkeypatch):
    monkeypatch.setenv("GANETI_HOSTNAME", "new.example.com")
    with pytest.raises(daemon.DaemonError, match="new.example.com.*node1.example.com") as caught:
        run(paths)
    assert caught.value.exit_code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
@pytest.mark.parametrize("name", ["lib_dir", "master_db"])
def test_a_database_of_another_user_is_named(paths, name):
    open(paths.master_lock, "a").close()
    os.chmod(getattr(paths, name), 0o500 if name == "lib_dir" else 0o400)
    with pytest.raises(PermissionError, match=getattr(paths, name)):
        masterd.MasterDaemon(paths)._check_access()


def test_a_database_of_another_schema_is_refused(paths):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    master = masterd.MasterDaemon(paths)
    with pytest.raises(errors.ConfigurationError, match="schema 99"):
        master.start()
    master.finish()


def test_an_upgrade_of_the_database_is_said_at_the_start_with_the_way_back(paths, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(schema._STEPS, schema.VERSION - 1, lambda connection: None)
    (warning,) = [words for words in run(paths).warnings if "upgraded" in words]
    assert f"ganeti-cluster restore {paths.master_db}.before-upgrade-" in warning
    assert run(paths).warnings == ()


def test_a_damaged_database_is_refused_in_one_line(paths):
    with open(paths.master_db, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(bytes(size - 4096))
    master = masterd.MasterDaemon(paths)
    with pytest.raises(errors.ConfigurationError, match="is damaged|cannot read"):
        master.start()
    master.finish()


def spoil(paths, statement):
    connection = sqlite3.connect(paths.master_db, isolation_level=None)
    connection.execute(statement)
    connection.close()


def run(paths):
    """Start and stop a master, and return it."""
    master = masterd.MasterDaemon(paths)
    try:
        master.start()
    finally:
        master.finish()
    return master


def test_where_it_is_safe_it_starts_on_what_is_whole(paths, caplog):
    spoil(paths, "UPDATE sqlite_sequence SET seq = 7")
    spoil(paths, "INSERT INTO sqlite_sequence VALUES ('job_job', 7)")
    run(paths)
    assert "shown as damaged: 1-7" in caplog.text
    assert [name for name in os.listdir(paths.lib_dir) if "master.db.damaged-" in name]


def test_a_large_database_is_checked_while_it_works(paths, monkeypatch, caplog):
    monkeypatch.setattr(masterd.check, "AT_START", 0)
    monkeypatch.setattr(masterd.check, "PAUSE", 0)
    spoil(paths, "INSERT INTO job_op VALUES (1, 0, '', '', '', 0, NULL, NULL, NULL, NULL, 1)")
    master = masterd.MasterDaemon(paths)
    master.start()
    master._background_check.join()
    master.finish()
    assert os.path.exists(paths.damage_mark) and "at its next start" in caplog.text
    run(paths)
    assert not os.path.exists(paths.damage_mark)


def test_a_log_without_its_database_is_no_place_for_a_new_one(paths):
    os.rename(paths.master_db, paths.master_db + "-wal")
    with pytest.raises(daemon.DaemonError, match="but not its log.*restore FILE") as caught:
        masterd.MasterDaemon(paths).check_role()
    assert caught.value.exit_code == 1


def test_a_database_that_waits_for_its_place_gets_it(paths):
    os.rename(paths.master_db, paths.next_db)
    masterd.MasterDaemon(paths).check_role()
    run(paths)
    assert os.path.exists(paths.master_db) and not os.path.exists(paths.next_db)


def test_the_command_line_is_read(capsys):
    with pytest.raises(SystemExit) as caught:
        masterd.main(["--help"])
    assert caught.value.code == 0 and "--foreground" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        masterd.main(["--bogus"])


def test_it_answers_until_the_running_jobs_have_ended(paths, monkeypatch):
    master = masterd.MasterDaemon(paths)
    master.start()
    thread = threading.Thread(target=master.serve)
    thread.start()
    client = luxi.Client(paths.query_socket)
    delay = {"OP_ID": "OP_TEST_DELAY", "duration": 3600.0, "reason": []}
    running = client.call(luxi.SubmitJob([delay]))
    values = None
    while values != ["running"]:
        values, _ = client.call(luxi.WaitForJobChange(running, ["status"], values, 0, 30))
    monkeypatch.setattr(masterd, "STOP_GRACE", 3600.0)
    master.stop()
    assert client.call(luxi.QueryJobs([running], ["status"])) == [["running"]]
    queued = client.call(luxi.SubmitJob([delay]))
    while client.call(luxi.QueryJobs([queued], ["waiting_for"])) != [
        [[{"kind": "drain", "name": "shutdown", "mode": None, "jobs": []}]]
    ]:
        pass
    assert client.call(luxi.CancelJob(running))[0]
    thread.join(30)
    client.close()
    master.finish()
    assert not thread.is_alive()


def test_told_twice_it_stops_at_once(paths, monkeypatch):
    monkeypatch.setattr(masterd, "STOP_GRACE", 3600.0)
    master = masterd.MasterDaemon(paths)
    master.start()
    client_ops = [opcodes.OpTestDelay(duration=3600.0)]
    master._queue.submit_once([client_ops]).result(30)
    thread = threading.Thread(target=master.serve)
    thread.start()
    while not master._queue.jobs([1])[0].status == "running":
        pass
    master.stop()
    master.stop()
    thread.join(30)
    assert not thread.is_alive()
    master.finish()


@pytest.mark.parametrize("given, archived", [(30.0, True), (0.0, False)])
def test_what_ended_long_ago_is_archived_unless_told_otherwise(paths, monkeypatch, given, archived):
    master = masterd.MasterDaemon(paths, archive_days=given)
    master.start()
    asked = []
    monkeypatch.setattr(
        master._queue, "auto_archive", lambda age, timeout: asked.append(age) or (0, 0)
    )
    master._archive()
    assert asked == ([30 * 86400.0] if archived else [])
    master.finish()


@pytest.mark.parametrize("given, deleted", [(21.0, [21 * 86400.0]), (masterd.PURGE_DAYS, [])])
def test_archived_jobs_are_deleted_if_that_is_asked_for(paths, monkeypatch, caplog, given, deleted):
    caplog.set_level("INFO")
    master = masterd.MasterDaemon(paths, purge_days=given)
    master.start()
    asked = []
    monkeypatch.setattr(master._queue, "purge", lambda age, timeout: asked.append(age) or 7)
    master._archive()
    assert asked == deleted
    assert ("Deleted 7 archived jobs that ended 21 days ago" in caplog.text) == bool(deleted)
    assert ("--purge-days" in caplog.text) == bool(deleted)
    master.finish()


@pytest.mark.parametrize("option", ["--archive-days", "--purge-days"])
@pytest.mark.parametrize("text", ["-1", "x", "nan", "inf", ""])
def test_days_are_a_length_of_time(option, text, capsys):
    with pytest.raises(SystemExit):
        masterd.parse_arguments([option, text])
    assert option in capsys.readouterr().err


@pytest.mark.parametrize("text, days", [("0", 0), ("1", 1), ("21.5", 21.5)])
def test_jobs_are_kept_for_a_day_at_least(text, days, capsys):
    assert masterd.parse_arguments(["--purge-days", text]).purge_days == days
    with pytest.raises(SystemExit):
        masterd.parse_arguments(["--purge-days", "0.5"])
    assert "0.5 is neither 0 (never) nor at least 1 day" in capsys.readouterr().err
