"""The lines that the verification writes into the job's log."""

import unittest

from ganeti.cmdlib.findings import Code, Findings
from support.lu import RecordedRun


class TestFindings(unittest.TestCase):
    def findings(self, *ignored: str, error_codes: bool = False) -> Findings:
        self.run_ = RecordedRun(1)
        return Findings(self.run_, error_codes=error_codes, ignored=ignored)

    def test_findings_are_sentences_by_default(self) -> None:
        found = self.findings()
        found.section("Looking")
        found.error(Code.NODE_DOWN, "node1", "is dead")
        found.warning(Code.INSTANCE_POLICY, "web", "is small")
        found.note("that is all")
        self.assertEqual(
            self.run_.lines,
            [
                "* Looking",
                "  - ERROR: node node1: is dead",
                "  - WARNING: instance web: is small",
                "  - NOTICE: that is all",
            ],
        )

    def test_findings_have_codes_on_request(self) -> None:
        found = self.findings(error_codes=True)
        found.error(Code.CLUSTER, "c", "is odd")
        self.assertEqual(self.run_.lines, ["  - ERROR:ECLUSTERCFG:cluster:c:is odd"])

    def test_errors_are_remembered_and_warnings_are_not(self) -> None:
        found = self.findings()
        found.warning(Code.INSTANCE_POLICY, "web", "is small")
        self.assertTrue(found.good)
        found.error(Code.INSTANCE_DOWN, "web", "is down")
        self.assertFalse(found.good)

    def test_an_ignored_error_is_a_warning(self) -> None:
        found = self.findings("EINSTANCEDOWN")
        found.error(Code.INSTANCE_DOWN, "web", "is down")
        self.assertTrue(found.good)
        self.assertEqual(self.run_.lines, ["  - WARNING: instance web: is down"])
