"""Manual pages and examples agree with the programs."""

import contextlib
import io
import re

import pytest

from ganeti.rapi.auth import users
from ganeti.rapi.permissions import VOCABULARY
from ganeti.server import cluster, masterd, passwd, rapi
from support import TOP

EXAMPLES = TOP / "doc/examples"
PROGRAMS = {
    "ganeti-rapi": [(rapi, [])],
    "ganeti-masterd": [(masterd, [])],
    "ganeti-cluster": [
        (cluster, [word] if word else [])
        for word in ("", "init", "backup", "restore", "ensure-dirs", "renew-certificate")
    ],
    "rapi-passwd": [(passwd, [])],
}
SAFE = "-b 127.0.0.1 --require-authentication"


def options_of(program):
    """Return all options in the output of --help."""
    said = io.StringIO()
    for module, words in PROGRAMS[program]:
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
            module.parse_arguments([*words, "--help"])
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", said.getvalue()))


def manual(program):
    """Return the text of a page, with roff's \\- as a hyphen."""
    return (TOP / f"man/{program}.8").read_text().replace("\\-", "-")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_every_option_and_no_other(program):
    text = manual(program).partition(".SH OPTIONS")[2].partition("\n.SH ")[0]
    written = {
        word
        for line in re.findall(r"^\.TP\n(.*)", text, re.M)
        for word in re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", line)
    }
    assert written == options_of(program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_pages_name_only_pages_that_exist(program):
    for name in re.findall(r"\.BR (\S+) \(8\)", manual(program)):
        assert name in PROGRAMS


def test_every_packaged_start_is_closed_to_strangers():
    texts = {
        path.name.removesuffix(".in"): path.read_text()  # built inside the sources,
        for path in EXAMPLES.iterdir()
        if path.is_file()
    }  # a template has its twin
    starts = {name: SAFE in text for name, text in texts.items() if "RAPI_ARGS" in text}
    assert starts == {
        "ganeti-rapi.default": True,
        "ganeti-rapi.initd": True,
        "ganeti-rapi.service": True,
    }


def test_the_example_users_file_is_read_without_complaint():
    found, complaints = users.parse_users((EXAMPLES / "users").read_bytes(), VOCABULARY)
    assert found["admin"].password.matches("admin", "secret")
    assert complaints == [] and len(found) > 3
