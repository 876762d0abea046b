"""The build's own lists and versions: nothing is forgotten, nothing is said twice differently."""

import re
import subprocess

import pytest

from ganeti import constants
from support import TOP

MAKEFILE = (TOP / "Makefile.am").read_text(encoding="utf-8")

#: Folders that hold sources; where there is no git (a release), they are walked.
SOURCE_FOLDERS = ("autotools", "daemons", "devel", "doc", "lib", "man", "qa", "test", "tools")
#: Generated into a source folder when one builds inside the source tree.
GENERATED = {
    "autotools/install-sh",
    "autotools/missing",
    "autotools/py-compile",
    "lib/_ganeti_build.py",
    "daemons/ganeti-rapi",
    "daemons/ganeti-masterd",
    "tools/ganeti-cluster",
    "tools/rapi-passwd",
    *(
        str(path.relative_to(TOP)).removesuffix(".in")
        for path in (TOP / "doc/examples").glob("*.in")
    ),
}


def file_lists() -> dict[str, list[str]]:
    """Variables of Makefile.am that have one value a line: name -> values."""
    found = re.findall(r"^(\w+) =((?: \\\n\t\S+)+)$", MAKEFILE, re.M)
    return {name: text.replace("\\", "").split() for name, text in found}


def listed() -> list[str]:
    """Every file that some list names."""
    return [
        value for values in file_lists().values() for value in values if not value.startswith("$")
    ]


def tracked() -> set[str]:
    """Every file of the checkout, or of the source folders of an unpacked release."""
    if (TOP / ".git").exists():
        listing = subprocess.run(
            ["git", "-C", str(TOP), "ls-files", "-z"], check=False, capture_output=True, text=True
        )
        if listing.returncode == 0 and listing.stdout:
            return {name for name in listing.stdout.split("\0") if name and (TOP / name).exists()}
    files = (path for folder in SOURCE_FOLDERS for path in (TOP / folder).rglob("*"))
    return {
        str(path.relative_to(TOP))
        for path in files
        if path.is_file() and "__pycache__" not in path.parts
    } - GENERATED


def test_every_file_is_listed() -> None:
    missing = sorted(tracked() - set(listed()))
    assert not missing, f"not in Makefile.am (run autotools/list-files): {missing}"


def test_every_listed_file_exists() -> None:
    gone = [name for name in listed() if not (TOP / name).is_file()]
    assert not gone, f"in Makefile.am, but gone (run autotools/list-files): {gone}"


def test_no_file_is_listed_twice() -> None:
    names = listed()
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", sorted(file_lists()))
def test_lists_are_sorted(name: str) -> None:
    values = file_lists()[name]
    assert values == sorted(values)


def test_every_module_is_installed_below_the_private_directory() -> None:
    folders = {
        name[len("dist_") : -len("_PYTHON")]: values
        for name, values in file_lists().items()
        if name.endswith("_PYTHON")
    }
    for word, values in folders.items():
        folder = values[0].rpartition("/")[0].removeprefix("lib/")
        target = f"{word}dir = $(pkgdatadir)/{folder}"
        assert f"\n{target}\n" in MAKEFILE, f"no line {target!r} in Makefile.am"


def test_the_version_is_said_the_same_twice() -> None:
    configure = (TOP / "configure.ac").read_text(encoding="utf-8")
    said = re.search(r"^AC_INIT\(\[ganeti-rapi\], \[(.*)\]\)$", configure, re.M)
    assert said is not None
    assert said[1] == constants.RELEASE_VERSION


def test_nothing_is_a_symbolic_link() -> None:
    links = [name for name in sorted(tracked()) if (TOP / name).is_symlink()]
    assert not links


def test_what_pathutils_asks_of_configure_is_generated() -> None:
    asked = set(re.findall(r'\bconfigured\("(\w+)"', (TOP / "lib/ganeti/pathutils.py").read_text()))
    generated = set(re.findall(r"^\t  echo '(\w+) = ", MAKEFILE, re.M))
    assert asked and asked <= generated


def test_defaults_are_the_same_with_and_without_configure() -> None:
    configure = (TOP / "configure.ac").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\[with_(\w+)=(\S+)\]\)$", configure, re.M))
    said = (TOP / "lib/ganeti/pathutils.py").read_text(encoding="utf-8")
    assert sorted(defaults) == ["daemons_group", "masterd_user", "os_search_path", "rapi_user"]
    for text in ",".join(defaults.values()).split(","):
        assert f'"{text}"' in said
