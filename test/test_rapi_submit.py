"""What every submission has: reasons, dry runs, job ids, who asked."""

from testutils_rapi import JOB_ID, RapiTestCase

from ganeti import errors, luxi
from ganeti.constants import ErrorCode

URI = "/2/instances/web/startup"


class TestSubmission(RapiTestCase):
    def test_the_trail_names_the_resource(self):
        self.put(URI)
        (source, words, when), = self.reasons()
        self.assertEqual((source, words), ("gnt:library:rlib2:instances_name_startup", ""))
        self.assertIsInstance(when, int)

    def test_the_users_reason_comes_first(self):
        self.put(URI + "?reason=because%20I%20can")
        self.assertEqual([entry[:2] for entry in self.reasons()], [
            ["gnt:user", "because I can"], ["gnt:library:rlib2:instances_name_startup", ""]])

    def test_the_master_hears_who_asks(self):
        self.put(URI)
        self.assertEqual(self.master.contexts, [luxi.Context(user="admin", request_id="r1")])

    def test_dry_run(self):
        for value, expected in (("1", True), ("0", False), ("true", True)):
            self.master.calls.clear()
            self.put(f"{URI}?dry-run={value}")
            self.assertIs(self.submitted()[0][0]["dry_run"], expected)

    def test_common_fields_of_the_body(self):
        self.put(URI, {"depends": [[3, ["success"]]], "priority": -10, "comment": "x"})
        op, = self.submitted()[0]
        self.assertEqual((op["depends"], op["priority"], op["comment"]),
                         ([[3, ["success"]]], -10, "x"))

    def test_common_fields_of_the_wrong_type(self):
        for field, value in (("depends", "3"), ("priority", 5), ("comment", 1)):
            self.assert_refused(400, "PUT", URI, {field: value}, text=f"'{field}'")

    def test_a_job_id_as_text_becomes_a_number(self):
        self.master.answers[luxi.SubmitJob] = str(JOB_ID)
        self.put(URI)

    def assert_failure(self, status, error):
        self.master.answers[luxi.SubmitJob] = error
        response = self.request("PUT", URI)
        self.assert_status(status, response)
        return dict(response.headers)

    def test_an_answer_that_is_no_job_id(self):
        self.assert_failure(502, [1, 2])

    def test_a_queue_that_is_full_or_drained(self):
        for error in (errors.JobQueueFull("full"), errors.JobQueueDrainError("drained"),
                      errors.GenericError("Queue drained")):
            self.assertIn("Retry-After", self.assert_failure(503, error))

    def test_work_that_this_master_does_not_do(self):
        self.assert_failure(501, errors.OpPrereqError("not here", ErrorCode.ENVIRON))

    def test_no_master(self):
        self.assert_failure(502, errors.NoMaster("nobody there"))
        self.assert_failure(504, errors.Timeout("too slow"))
