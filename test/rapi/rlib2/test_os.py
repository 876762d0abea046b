"""``/2/os``: the request waits for a job."""

from ganeti import errors, luxi
from ganeti.opcodes import OpOsDiagnose
from support.rapi import JOB_ID, RapiTestCase

ROWS = [["bare", [], True], ["broken", ["x"], False], ["noop", ["default", "big"], True]]


class TestOs(RapiTestCase):
    user = None

    def ends(self, *changes):
        """Set the answers of WaitForJobChange, one for each call."""
        ahead = list(changes)
        self.master.answers[luxi.WaitForJobChange] = lambda call: ahead.pop(0)

    def test_operating_systems_are_named_with_their_variants(self):
        self.ends([["running", [None]], []], [["success", [ROWS]], []])
        self.assertEqual(self.get("/2/os"), ["bare", "noop+default", "noop+big"])

    def test_a_diagnose_job_is_submitted_with_its_reason(self):
        self.ends([["success", [[]]], []])
        self.assertEqual(self.get("/2/os"), [])
        self.assertEqual(self.master.calls[0].ops[0]["OP_ID"], OpOsDiagnose.OP_ID)
        # The client has no user.
        self.assertEqual(self.reasons_of_first()[:2], ["gnt:library:rlib2:os", "request=r1"])

    def reasons_of_first(self):
        return self.master.calls[0].ops[0]["reason"][0]

    def test_the_request_waits_for_the_next_change(self):
        self.ends([["queued", [None]], []], [["success", [[]]], []])
        self.get("/2/os")
        waits = [call for call in self.master.calls if isinstance(call, luxi.WaitForJobChange)]
        self.assertEqual([call.previous for call in waits], [None, ["queued", [None]]])
        self.assertEqual({call.job_id for call in waits}, {JOB_ID})

    def assert_bad_gateway(self, text):
        answer = self.assert_status(502, self.request("GET", "/2/os"))
        self.assertIn(text, answer["message"])

    def test_a_job_that_fails_is_502(self):
        self.ends([["error", [["OpExecError", ["no disk"]]]], []])
        self.assert_bad_gateway("no disk")

    def test_a_job_that_is_canceled_is_502_and_a_lost_one_404(self):
        self.ends([["canceled", []], []])
        self.assert_bad_gateway("canceled")
        self.ends(errors.JobLost("gone"))
        self.objects()
        self.assert_status(404, self.request("GET", "/2/os"))

    def test_a_job_that_was_archived_at_once_is_read(self):
        self.ends(errors.JobLost("gone"))
        self.objects({"status": "success", "opresult": [ROWS]})
        self.assertEqual(self.get("/2/os"), ["bare", "noop+default", "noop+big"])

    def test_a_result_that_is_no_table_is_502(self):
        for result in ("text", [["a"]], None, [5]):
            self.ends([["success", [result]], []])
            self.assert_bad_gateway("not a table")

    def test_a_change_that_makes_no_sense_is_502(self):
        self.ends("nochange")
        self.assert_bad_gateway("nochange")

    def test_the_job_of_a_client_that_hangs_up_is_canceled(self):
        self.gone = lambda: luxi.WaitForJobChange in map(type, self.master.calls)
        self.ends([["waiting", [None]], []])
        self.master.answers[luxi.CancelJob] = [True, "done"]
        self.request("GET", "/2/os")
        self.assertEqual(self.master.calls[-1], luxi.CancelJob(JOB_ID))
