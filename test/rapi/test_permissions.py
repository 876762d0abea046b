"""The names of rights: those of Ganeti, and those that our verbs need."""

from ganeti.rapi import permissions
from ganeti.rapi.rlib2 import RESOURCES


def test_there_are_as_many_rights_as_ganeti_has():
    of_ganeti = {
        verb.access
        for resource in RESOURCES
        for verb in resource.verbs().values()
        if resource.SINCE != "ours" and not resource.PUBLIC
    }
    assert len(of_ganeti) == 66 and of_ganeti <= permissions.ALL


def test_roles_consist_of_rights_that_verbs_need():
    assert len(permissions.READONLY) == 18
    for role in permissions.VOCABULARY.roles.values():
        assert role <= permissions.ALL


def test_what_needs_no_user_is_a_reading_right():
    for resource in RESOURCES:
        for name, verb in resource.verbs().items():
            if verb.open and not resource.PUBLIC:
                assert name == "GET" and verb.access in permissions.READONLY, resource


def test_each_role_includes_the_one_below_it():
    roles = permissions.VOCABULARY.roles
    assert (
        roles["@readonly"]
        < roles["read"]
        < roles["@operator"]
        < roles["@admin"]
        == roles["write"]
        == roles["all"]
        == permissions.ALL
    )


def test_roles_give_these_rights_beside_reading():
    roles = permissions.VOCABULARY.roles
    assert roles["read"] - roles["@readonly"] == {"instances.query.console"}
    assert {right.removeprefix("instances.") for right in roles["@operator"] - roles["read"]} == {
        "startup",
        "shutdown",
        "reboot",
        "migrate",
        "failover",
        "replace_disks",
        "export.prepare",
        "export.create",
        "export.remove",
    }
