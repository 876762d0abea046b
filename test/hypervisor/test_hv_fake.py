"""Guests that are files: the format, and changes to the directory by hand."""

import os

import pytest

from ganeti import errors
from ganeti.hypervisor import FakeHypervisor, Guest


@pytest.fixture
def fake(tmp_path):
    return FakeHypervisor(str(tmp_path))


def test_the_file_has_the_format_of_ganeti(fake, tmp_path):
    (tmp_path / "web").write_text("0\n512\n2\n")
    assert fake.guests() == {"web": Guest("web", 512, 2)}
    fake.reboot("web")
    assert (tmp_path / "web").read_text() == "0\n512\n2\n"


def test_removing_the_file_kills_the_guest(fake, tmp_path):
    (tmp_path / "web").write_text("0\n512\n2\n")
    assert "web" in fake.guests()
    os.unlink(tmp_path / "web")
    assert fake.guests() == {} and fake.guest("web") is None


def test_a_reboot_leaves_a_new_file(fake, tmp_path):
    (tmp_path / "web").write_text("0\n512\n2\n")
    with open(tmp_path / "web") as old:  # keeps the inode from being used again
        fake.reboot("web")
        assert os.stat(tmp_path / "web").st_ino != os.fstat(old.fileno()).st_ino


@pytest.mark.parametrize("content", ["", "0\n", "rubbish", "0\nx\ny\n", "\xff\n"])
def test_a_file_with_other_content_is_a_guest_of_unknown_size(fake, tmp_path, content):
    (tmp_path / "web").write_text(content, encoding="latin-1")
    assert fake.guests() == {"web": Guest("web", 0, 1)}


def test_other_files_are_not_listed_as_guests(fake, tmp_path):
    (tmp_path / ".web.1234abcd").write_text("0\n1\n1\n")
    (tmp_path / "a b").write_text("0\n1\n1\n")
    assert fake.guests() == {}


def test_an_unreadable_or_unwritable_state_is_an_error(fake, tmp_path):
    (tmp_path / "web").mkdir()
    for step in (
        lambda: fake.guest("web"),
        lambda: fake.reboot("web"),
        lambda: fake.stop("web", timeout=0, force=True),
    ):
        with pytest.raises(errors.HypervisorError, match="web"):
            step()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_to_is_a_problem(fake, tmp_path):
    tmp_path.chmod(0o500)
    (problem,) = fake.problems()
    assert str(tmp_path) in problem


def test_a_replaced_file_is_another_guest(fake, tmp_path):
    (tmp_path / "web").write_text("0\n512\n2\n")
    fake.guests()
    (tmp_path / "new").write_text("0\n1024\n2\n")
    os.rename(tmp_path / "new", tmp_path / "web")
    assert fake.guests() == {"web": Guest("web", 1024, 2)}


def test_a_renamed_file_is_a_guest_of_the_new_name(fake, tmp_path):
    (tmp_path / "web").write_text("0\n512\n2\n")
    fake.guests()
    os.rename(tmp_path / "web", tmp_path / "db")
    assert fake.guests() == {"db": Guest("db", 512, 2)}


def test_a_directory_is_not_a_guest(fake, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "web").write_text("0\n512\n2\n")
    assert list(fake.guests()) == ["web"]


def test_a_directory_that_cannot_be_read_is_an_error_in_words(tmp_path):
    (tmp_path / "file").touch()
    fake = FakeHypervisor(str(tmp_path / "file" / "guests"))
    with pytest.raises(errors.HypervisorError, match="Cannot read"):
        fake.guests()
    with pytest.raises(errors.HypervisorError, match="Cannot write"):
        fake._write(Guest("web", 512, 2))


@pytest.mark.parametrize("name", ["../web", "a/b", ".web", "", "..", "a\0"])
def test_a_name_that_leads_out_of_the_directory_is_refused(fake, name):
    for step in (fake.guest, fake.reboot, lambda name: fake.stop(name, timeout=0, force=True)):
        with pytest.raises(errors.HypervisorError, match="Invalid name"):
            step(name)
