"""Objects are copied deeply, and refuse unknown keys."""

import pytest

from ganeti import objects


def test_a_copy_shares_nothing_with_its_original():
    disk = objects.Disk(uuid="d", dev_type="file", size=10)
    original = objects.Instance(
        uuid="i",
        name="web",
        primary_node="p",
        hypervisor="fake",
        disk_template="file",
        tags=["a"],
        disks=[disk],
    )
    twin = objects.copy_of(original)
    twin.tags.append("b")
    twin.disks[0].size = 20
    assert original.tags == ["a"] and original.disks[0].size == 10


def test_a_key_of_a_newer_version_is_an_error():
    group = objects.Group(uuid="g", name="default")
    with pytest.raises(TypeError):
        objects.Group.from_dict({**vars(group), "newer": 1})
