"""An instance survives its stored form with its disks and NICs."""

from ganeti import objects, serializer


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
    data = serializer.loads(serializer.dumps_object(instance))
    assert objects.Instance.from_dict(data) == instance
