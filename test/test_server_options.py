"""Options that both daemons have."""

import pytest

from ganeti import constants, daemon
from ganeti.server import options


def parse(*words):
    parser = options.Parser(prog="ganeti-test")
    options.add_arguments(parser)
    return options.read_arguments(parser.parse_args(words))


def test_defaults():
    assert parse() == daemon.Options(foreground=False, debug=False, syslog="no")


def test_all_given():
    assert parse("-f", "-d", "--syslog=only") == daemon.Options(True, True, "only")
    assert parse("--foreground", "--debug").foreground


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--version")
    assert caught.value.code == 0 and constants.RELEASE_VERSION in capsys.readouterr().out


def test_a_wrong_word_is_refused():
    with pytest.raises(SystemExit) as caught:
        parse("--syslog=maybe")
    assert caught.value.code == constants.EXIT_FAILURE
