"""The master as a daemon object: what it opens, what it refuses, what it leaves."""

import os
import sqlite3
import threading

import pytest
from testutils import make_cluster, make_paths

from ganeti import daemon, errors, luxi
from ganeti.server import masterd


@pytest.fixture
def paths(tmp_path):
    store, config, _ = make_cluster(tmp_path)
    config.ssconf.flush()
    store.close()
    return make_paths(tmp_path)


def test_start_serve_stop(paths):
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
    if other == 0:                                  # locks are a process's own
        try:
            masterd.MasterDaemon(paths)._take_lock()
        except daemon.DaemonError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
    master.finish()


def test_without_a_cluster_it_says_what_to_type(tmp_path):
    with pytest.raises(daemon.DaemonError, match="ganeti-cluster init") as caught:
        masterd.MasterDaemon(make_paths(tmp_path)).prepare()
    assert caught.value.exit_code == 12


def test_a_database_of_another_schema_is_refused(paths):
    connection = sqlite3.connect(paths.master_db)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    master = masterd.MasterDaemon(paths)
    with pytest.raises(errors.ConfigurationError, match="schema 99"):
        master.start()
    master.finish()


def test_a_damaged_database_is_refused_in_one_line(paths):
    with open(paths.master_db, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(bytes(size - 4096))
    master = masterd.MasterDaemon(paths)
    with pytest.raises(errors.ConfigurationError, match="is damaged|cannot read"):
        master.start()
    master.finish()


def test_the_command_line(capsys):
    with pytest.raises(SystemExit) as caught:
        masterd.main(["--help"])
    assert caught.value.code == 0 and "--foreground" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        masterd.main(["--bogus"])
