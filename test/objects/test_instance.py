"""An instance comes back from its stored form with its disks and NICs."""

from ganeti import objects


def test_an_instance_survives_its_stored_form():
    instance = objects.Instance(
        uuid="i",
        name="web",
        primary_node="p",
        hypervisor="fake",
        disk_template="file",
        tags=["a"],
        disks=[objects.Disk(uuid="d", dev_type="file", size=10, logical_id=["loop", "/x"])],
        nics=[objects.Nic(uuid="n", mac="aa:00:00:00:00:01", nicparams={"link": "br1"})],
    )
    data = instance.to_dict()
    assert objects.Instance.from_dict(data) == instance
    assert all(not isinstance(value, objects.Part) for value in data.values())
