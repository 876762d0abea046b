"""Options that both daemons have."""

import subprocess
import sys

import pytest

from ganeti import constants, daemon
from ganeti.daemon import options


def parse(*words):
    parser = options.Parser(prog="ganeti-test")
    options.add_arguments(parser)
    return options.read_arguments(parser.parse_args(words))


def test_the_options_have_their_defaults():
    assert parse() == daemon.Options(foreground=False, debug=(), syslog="no", log_format="text")


def test_all_options_are_read():
    assert parse("-f", "-d", "--syslog=only", "--log-format=json") == daemon.Options(
        True, ("",), "only", "json"
    )
    assert parse("-df") == parse("--debug", "--foreground") == daemon.Options(True, ("",))


def test_debug_lines_of_packages_and_modules():
    assert parse("--debug=jqueue,http.server").debug == ("jqueue", "http.server")


@pytest.mark.parametrize("names", ["", "jqueue,", "jqeue", "gone.module", "errors.gone", "..", "."])
def test_debug_lines_of_nothing_that_exists(names, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(f"--debug={names}")
    assert caught.value.code == constants.EXIT_FAILURE
    assert "ganeti has no package or module" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--version")
    assert caught.value.code == 0 and constants.RELEASE_VERSION in capsys.readouterr().out


def test_a_wrong_word_is_refused():
    with pytest.raises(SystemExit) as caught:
        parse("--syslog=maybe")
    assert caught.value.code == constants.EXIT_FAILURE


def test_a_program_that_the_interpreter_was_told_to_run(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "x", "-f"])
    assert options.own_command() == [sys.executable, "-m", "x", "-f"]


def test_a_program_that_was_run_by_its_name(tmp_path):
    path = tmp_path / "own-command"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {sys.path!r}\n"
        "from ganeti.daemon import options\nprint(*options.own_command())\n"
    )
    path.chmod(0o755)
    done = subprocess.run(
        ["./own-command", "-f"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "./own-command -f\n"
