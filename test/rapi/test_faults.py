"""Errors of the master and their statuses in HTTP."""

import unittest

from ganeti import errors
from ganeti.constants import ErrorCode
from ganeti.jqueue import rows
from ganeti.rapi.faults import translate


class TestStatus(unittest.TestCase):
    def assert_status(self, status, error):
        fault = translate(error)
        self.assertEqual(fault.code, status, error)
        return fault

    def test_a_precondition_has_the_status_of_its_code(self):
        for code, status in {
            ErrorCode.NOENT: 404,
            ErrorCode.INVAL: 400,
            ErrorCode.RESOLVER: 400,
            ErrorCode.EXISTS: 409,
            ErrorCode.NOTUNIQUE: 409,
            ErrorCode.STATE: 409,
            ErrorCode.NORES: 503,
            ErrorCode.TEMP_NORES: 503,
            ErrorCode.ENVIRON: 501,
            ErrorCode.FAULT: 500,
            "of_another_world": 500,
        }.items():
            self.assert_status(status, errors.OpPrereqError("text", code))

    def test_an_error_has_the_status_of_its_class(self):
        for error, status in (
            (errors.ParameterError("x"), 400),
            (errors.TagError("x"), 400),
            (errors.JobLost("x"), 404),
            (errors.OpCodeUnknown("x"), 501),
            (errors.JobQueueFull(), 503),
            (errors.JobQueueDrainError("x"), 503),
            (errors.JobQueueUnavailable("x"), 503),
            (errors.LuxiError("x"), 502),
            (errors.ConnectionClosed("x"), 502),
            (errors.NoMaster("x"), 502),
            (errors.RequestError("x"), 502),
            (errors.Timeout("x"), 504),
            (errors.NoPermission("x"), 500),
            (errors.ConfigurationError("x"), 500),
            (errors.GenericError("x"), 500),
        ):
            self.assert_status(status, error)

    def test_every_class_has_a_status(self):
        for cls in errors.BY_NAME.values():
            self.assertGreaterEqual(translate(cls("x")).code, 400)

    def test_a_drained_queue_of_a_real_master_is_503(self):
        self.assert_status(503, errors.GenericError("Queue drained"))

    def test_a_relative_dependency_that_leads_to_no_job_is_400(self):
        with self.assertRaises(errors.GenericError) as ours:
            rows.resolve([[-7986, []]], 12)
        for error in (
            ours.exception,
            errors.GenericError("Invalid value for job ID ' -7953'"),
            errors.GenericError("Invalid value for job ID '0'"),
        ):
            self.assertIn("'depends'", self.assert_status(400, error).message)

    def test_an_opcode_that_a_real_master_cannot_read_is_400(self):
        fault = self.assert_status(
            400,
            errors.RequestError(
                "Failed to parse request: SubmitJob: Can't parse value for 'hypervisor'"
            ),
        )
        self.assertIn("Invalid body parameters: Can't parse value", fault.message)

    def test_an_opcode_unknown_to_the_master_is_501_and_a_field_400(self):
        fault = self.assert_status(
            501,
            errors.RequestError(
                "Failed to parse request: SubmitJob: Unknown opcode OP_NETWORK_RENAME"
            ),
        )
        self.assertIn("OP_NETWORK_RENAME", fault.message)
        fault = self.assert_status(
            400,
            errors.RequestError(
                'Failed to parse request: SubmitJob: Superfluous dictionary keys: ["a_b","c"], but '
                'only ["OP_ID","comment"] allowed.'
            ),
        )
        self.assertEqual(
            fault.message, "Invalid body parameters: this master does not know 'a_b', 'c'"
        )

    def test_an_error_from_the_wire_has_the_status_of_its_class(self):
        for name, status in (
            ("JobQueueError", 503),
            ("JobQueueFull", 503),
            ("JobQueueDrainError", 503),
            ("JobQueueUnavailable", 503),
            ("IdempotencyConflict", 422),
            ("GenericError", 500),
        ):
            self.assert_status(status, errors.decode([name, ["text"]]))

    def test_a_key_of_another_request_is_422(self):
        fault = self.assert_status(422, errors.IdempotencyConflict("it made job 5"))
        self.assertEqual(fault.message, "Header Idempotency-Key: it made job 5")
        self.assertIn("another request", fault.explain)
        self.assertEqual(fault.headers, [])

    def test_who_may_try_again_is_told_when(self):
        self.assertIn(("Retry-After", "30"), translate(errors.JobQueueFull("full")).headers)

    def test_not_found_keeps_the_words_that_clients_compare(self):
        body = translate(errors.OpPrereqError("Node x not known", ErrorCode.NOENT)).as_object()
        self.assertEqual(
            body,
            {
                "code": 404,
                "message": "Not Found",
                "explain": "Nothing matches the given URI",
                "detail": "Node x not known",
            },
        )

    def test_words_of_the_master_are_the_message(self):
        self.assertEqual(
            translate(errors.OpPrereqError("taken", ErrorCode.EXISTS)).message, "taken"
        )


def test_no_path_goes_to_a_client():
    for error in (
        errors.NoMaster("cannot connect to the master at /run/x"),
        errors.NoPermission("no permission to connect to the master at /run/x"),
    ):
        assert "/run" not in translate(error).message
