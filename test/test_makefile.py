"""The lists and versions of the build are complete and agree."""

import re
import subprocess

import pytest

from ganeti import constants
from support import TOP
from support.scripts import load_script

MODULES = "lib/ganeti/local.mk"


def text_of(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def parts() -> list[str]:
    """Return the names of Makefile.am and the files that it includes."""
    included = re.findall(r"^include \$\(top_srcdir\)/(\S+)$", text_of("Makefile.am"), re.M)
    return ["Makefile.am", *included]


MAKEFILE = "".join(text_of(name) for name in parts())


def lists() -> dict[str, list[str]]:
    """Return the variables with one value a line, by name."""
    found = re.findall(r"^(\w+) =((?: \\\n\t\S+)+)$", MAKEFILE, re.M)
    return {name: text.replace("\\", "").split() for name, text in found}


def listed() -> list[str]:
    """Return the files and folders in the lists."""
    return [value for values in lists().values() for value in values if not value.startswith("$")]


def tracked() -> list[str]:
    """Return the files that git tracks; an unpacked release has only those that were listed."""
    if not (TOP / ".git").exists():
        pytest.skip("not a checkout of git")
    command = ["git", "-C", str(TOP), "ls-files", "-z"]
    listing = subprocess.run(command, check=False, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip(f"git refuses: {listing.stderr.strip()}")
    return [name for name in listing.stdout.split("\0") if name and (TOP / name).exists()]


def test_every_file_is_shipped() -> None:
    alone = {*listed(), *parts(), "configure.ac"}  # automake ships its own input
    folders = tuple(name + "/" for name in listed() if (TOP / name).is_dir())
    missing = [name for name in tracked() if name not in alone and not name.startswith(folders)]
    assert not missing, "in no list of Makefile.am or a local.mk"


def test_every_listed_file_exists() -> None:
    assert [name for name in listed() if not (TOP / name).exists()] == []


def test_no_file_is_listed_twice() -> None:
    assert sorted(set(listed())) == sorted(listed())


def test_nothing_that_is_installed_is_in_a_folder_that_is_shipped_whole() -> None:
    folders = tuple(name + "/" for name in lists()["shipped_folders"])
    assert [name for name in listed() if name.startswith(folders)] == []


@pytest.mark.parametrize("name", sorted(lists()))
def test_lists_are_sorted(name: str) -> None:
    values = lists()[name]
    assert values == sorted(values)


def test_the_list_of_modules_is_as_autotools_list_files_writes_it() -> None:
    script = load_script("autotools/list-files")
    assert text_of(MODULES) == script.module_list(), "run autotools/list-files"


def test_every_module_is_installed_below_the_private_directory() -> None:
    folders = dict(re.findall(r"^(\w+)dir = (\S+)$", text_of(MODULES), re.M))
    modules = re.findall(r"^dist_(\w+)_PYTHON = \\\n\tlib/(\S+)/\w+\.py\b", text_of(MODULES), re.M)
    assert folders == {name: f"$(pkgdatadir)/{folder}" for name, folder in modules}


def test_the_build_is_short_beside_the_list_of_modules() -> None:
    assert sum(len(text_of(name).splitlines()) for name in parts() if name != MODULES) < 400


def test_the_version_is_said_the_same_twice() -> None:
    said = re.search(r"^AC_INIT\(\[ganeti-rapi\], \[(.*)\]\)$", text_of("configure.ac"), re.M)
    assert said is not None
    assert said[1] == constants.RELEASE_VERSION


def test_one_series_of_ruff_is_said_the_same_everywhere() -> None:
    said = re.search(r'^required-version = "(.*)"$', text_of("pyproject.toml"), re.M)
    assert said is not None
    for name in ("devel/test", ".pre-commit-config.yaml"):
        assert set(re.findall(r"\bruff(\W=[0-9.]+)", text_of(name))) == {said[1]}


def test_nothing_is_a_symbolic_link() -> None:
    assert [name for name in tracked() if (TOP / name).is_symlink()] == []


def test_what_pathutils_asks_of_configure_is_generated() -> None:
    asked = set(re.findall(r'\bconfigured\("(\w+)"', text_of("lib/ganeti/pathutils.py")))
    generated = set(re.findall(r"^\t  echo '(\w+) = ", MAKEFILE, re.M))
    assert asked and asked <= generated


def test_defaults_are_the_same_with_and_without_configure() -> None:
    defaults = dict(re.findall(r"\[with_(\w+)=(\S+)\]\)$", text_of("configure.ac"), re.M))
    said = text_of("lib/ganeti/pathutils.py")
    assert sorted(defaults) == ["daemons_group", "masterd_user", "os_search_path", "rapi_user"]
    for text in ",".join(defaults.values()).split(","):
        assert f'"{text}"' in said


def test_make_help_names_the_targets() -> None:
    named = re.findall(r"^\t  'make (\w+) {2,}\S", MAKEFILE, re.M)
    assert {"check", "install", "dist", "distcheck", "clean", "help"} <= set(named)
