"""Paths: Ganeti's layout, below any root."""

import pytest

from ganeti import pathutils
from ganeti.pathutils import Paths


def test_a_root_moves_everything_below_it():
    paths = Paths.from_environment({"GANETI_ROOTDIR": "/x/node1"})
    assert paths.query_socket == "/x/node1/var/run/ganeti/socket/ganeti-query"
    assert paths.rapi_cert == "/x/node1/var/lib/ganeti/rapi.pem"
    assert paths.os_search_path[0] == "/x/node1/srv/ganeti/os"
    assert paths.file_storage_paths_file == "/x/node1/etc/ganeti/file-storage-paths"


def test_paths_without_a_root_are_those_of_ganeti():
    paths = Paths()
    assert paths.pid_file("ganeti-rapi") == "/var/run/ganeti/ganeti-rapi.pid"
    assert paths.rapi_log == "/var/log/ganeti/rapi-daemon.log"
    assert paths.master_log == "/var/log/ganeti/master-daemon.log"
    assert paths.users_files == ("/var/lib/ganeti/rapi/users", "/var/lib/ganeti/rapi_users")
    assert paths.ssconf("node_list") == "/var/lib/ganeti/ssconf_node_list"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_an_entry_is_one_component(name):
    with pytest.raises(ValueError):
        pathutils.inside("/srv", name)
    assert pathutils.inside("/srv", "a") == "/srv/a"


def test_a_file_in_the_making_is_beside_its_target():
    assert pathutils.beside("/srv/backup", "new") == "/srv/.backup.new"


def test_databases_that_are_kept_lie_beside_the_present_one():
    assert (
        Paths().kept_db("damaged", "20260131-120000")
        == "/var/lib/ganeti/master.db.damaged-20260131-120000"
    )
