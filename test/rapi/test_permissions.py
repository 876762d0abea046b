"""The names of rights: those of Ganeti, and those that our verbs need."""

from ganeti.rapi import connector, permissions
from ganeti.rapi.baserlib import RESOURCES

OURS = [resource for resource in RESOURCES if resource.__module__.startswith("ganeti.")]


def test_there_are_as_many_rights_as_ganeti_has():
    assert len(permissions.ALL) == 66 and len(permissions.READONLY) == 18


def test_every_verb_needs_a_known_right():
    assert connector.Connector()
    needed = {
        verb.access
        for resource in OURS
        for verb in resource.verbs().values()
        if not resource.PUBLIC
    }
    assert len(needed) > 15 and needed <= permissions.ALL


def test_what_needs_no_user_is_a_reading_right():
    for resource in OURS:
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
