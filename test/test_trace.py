"""devel/trace and devel/figures: counting the modules that a request passes."""

import json
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from support.scripts import load_script


@pytest.fixture(scope="module")
def trace() -> ModuleType:
    """Return devel/trace as a module."""
    return load_script("devel/trace")


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """Return devel/figures as a module."""
    return load_script("devel/figures")


@pytest.fixture
def recorder(trace):
    """Return a recorder that is switched on."""
    made = trace.CallRecorder()
    made.obey("on")
    return made


CALLED = [
    ("/x/lib/ganeti/http/server.py", "Server.run"),
    ("/x/lib/ganeti/http/server.py", "Server._accept"),
    ("/x/lib/ganeti/rapi/__init__.py", "serve"),
    ("/x/lib/ganeti/mcpu.py", "<module>"),
    ("/x/lib/ganeti/utils/io.py", "fsync"),
    ("/x/lib/ganeti/errors.py", "Error.__init__"),
    ("/x/lib/ganeti_other/mcpu.py", "run"),
    ("/usr/lib/python3/json/__init__.py", "dumps"),
    ("<string>", "__init__"),
]


def test_modules_of_the_package_count_unless_everybody_uses_them(trace):
    assert trace.modules_of(CALLED, "/x/lib/ganeti") == {
        "http.server": ["Server._accept", "Server.run"],
        "rapi": ["serve"],
    }


def test_a_call_is_recorded_while_the_recorder_is_on(recorder):
    recorder.profile(sys._getframe(), "return", None)
    assert recorder.obey("count") == 0
    recorder.profile(sys._getframe(), "call", None)
    recorder.profile(sys._getframe(), "call", None)
    assert recorder.obey("count") == 1
    here = "test_a_call_is_recorded_while_the_recorder_is_on"
    assert recorder.obey("off") == [(__file__, here)]
    recorder.profile(sys._getframe(1), "call", None)
    assert recorder.obey("off") == [(__file__, here)]


def test_the_recorder_forgets_when_it_is_switched_on_again(recorder):
    recorder.profile(sys._getframe(), "call", None)
    recorder.obey("on")
    assert recorder.obey("off") == []


def test_the_recorder_is_told_through_a_socket(recorder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=recorder.listen, args=(listener,))
        thread.start()
        recorder.profile(sys._getframe(), "call", None)
        with socket.create_connection(listener.getsockname()) as sock:
            sock.sendall(b"off")
            with sock.makefile() as answer:
                assert len(json.load(answer)) == 1
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


TRACES = {
    "list": {"front": {"http.server": ["a", "b"], "rapi": ["c"]}, "master": {"mcpu": ["d"]}},
    "job": {"front": {}, "master": {}},
}


def test_the_table_has_names_and_functions_on_request(trace):
    assert list(trace.table(TRACES, False)) == [
        "list, front: 2 modules",
        "    http.server",
        "    rapi",
        "list, master: 1 modules",
        "    mcpu",
        "job, front: 0 modules",
        "job, master: 0 modules",
    ]
    assert "    http.server: a, b" in trace.table(TRACES, True)


def test_figures_counts_the_names(figures):
    way = {what: {one: list(names) for one, names in both.items()} for what, both in TRACES.items()}
    assert list(figures.way_rows({"way": way})) == [
        ("modules on the way of a list", "2 (front), 1 (master)"),
        ("modules on the way of a job", "0 (front), 0 (master)"),
    ]


def test_figures_says_why_nothing_can_be_traced(figures, tmp_path: Path):
    found = figures.way(tmp_path)
    [(label, text)] = figures.way_rows(found)
    assert found["way"] is None and label == "modules on the way"
    assert text.startswith("-  (devel/trace: no cluster can be created")


def test_figures_has_no_such_row_unless_asked(figures):
    assert list(figures.way_rows({})) == []
