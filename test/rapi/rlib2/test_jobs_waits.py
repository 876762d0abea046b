"""Waiting for jobs over the API."""

from ganeti import errors, luxi
from ganeti.rapi.job_wait import NO_LOG
from support.rapi import RapiTestCase

NO_TIME = "/2/jobs/7/wait?timeout=0"


class TestJobWait(RapiTestCase):
    def changes(self, *answers):
        """Set the answers of the master, one for each call."""
        ahead = list(answers)
        self.master.answers[luxi.WaitForJobChange] = lambda call: ahead.pop(0)

    def test_a_wait_lasts_until_the_job_ends(self):
        self.changes([["running", "running"], []], [["success", "success"], []])
        self.assertEqual(
            self.get("/2/jobs/7/wait?timeout=60"), {"job_info": ["success"], "log_entries": []}
        )
        self.assertEqual(
            [(call.job_id, call.previous, call.previous_serial) for call in self.master.calls],
            [(7, None, NO_LOG), (7, ["running", "running"], NO_LOG)],
        )

    def test_a_wait_answers_chosen_fields_and_new_log_entries(self):
        entry = [4, [1, 2], "message", "x"]
        self.changes([["running", 7, ["x"]], [entry]])
        self.assertEqual(
            self.get("/2/jobs/7/wait?fields=id,summary&serial=3"),
            {"job_info": [7, ["x"]], "log_entries": [entry]},
        )
        self.assertEqual(self.master.calls[0].previous_serial, 3)

    def test_a_timeout_of_0_answers_at_once(self):
        self.changes([["queued", "queued"], []])
        self.assertEqual(self.get("/2/jobs/7/wait?timeout=0")["job_info"], ["queued"])

    def test_invalid_words_are_refused(self):
        for words, text in (
            ("timeout=301", "'timeout'"),
            ("timeout=x", "'timeout'"),
            ("timeout=-1", "'timeout'"),
            ("serial=-1", "'serial'"),
            ("fields=color", "'fields'"),
        ):
            self.assert_refused(400, "GET", f"/2/jobs/7/wait?{words}", text=text)
        self.assertEqual(self.master.calls, [])

    def test_an_unknown_job_is_not_found(self):
        self.changes(errors.JobLost("gone"))
        self.objects()
        self.assert_refused(404, "GET", "/2/jobs/7/wait", text="there is no job 7")
        self.assert_refused(404, "GET", "/2/jobs/" + 30 * "9" + "/wait")

    def test_a_wait_needs_a_user(self):
        self.user = None
        self.assert_status(401, self.request("GET", "/2/jobs/7/wait"))


class TestGanetisWait(RapiTestCase):
    BODY = {"fields": ["status"], "previous_job_info": ["queued"], "previous_log_serial": 2}

    def wait(self, answer, target="/2/jobs/7/wait", body=BODY):
        self.master.answers[luxi.WaitForJobChange] = answer
        return self.request("GET", target, body)

    def test_the_call_is_ganetis(self):
        answer = self.assert_status(200, self.wait([["running"], []]))
        self.assertEqual(answer, {"job_info": ["running"], "log_entries": []})
        self.wait([["running"], []], "/2/jobs/7/wait?timeout=30")
        self.assertEqual(
            self.master.calls,
            [luxi.WaitForJobChange(7, ["status"], ["queued"], 2, timeout) for timeout in (10, 30)],
        )

    def test_an_unchanged_job_is_null_or_its_previous_state(self):
        self.assertIsNone(self.assert_status(200, self.wait("nochange", NO_TIME)))
        answer = self.assert_status(200, self.wait([["queued"], []], NO_TIME))
        self.assertEqual(answer, {"job_info": ["queued"], "log_entries": []})
        self.gone = lambda: True  # or all waits are to end
        answer = self.assert_status(200, self.wait("never asked"))
        self.assertEqual(answer, {"job_info": ["queued"], "log_entries": []})

    def test_a_job_that_has_ended_is_answered_at_once(self):
        answer = self.assert_status(200, self.wait([["queued"], []]))
        self.assertEqual(answer, {"job_info": ["queued"], "log_entries": []})
        self.assertEqual(len(self.master.calls), 1)

    def test_an_unknown_job_is_not_found(self):
        self.objects()
        for answer in (None, errors.JobLost("gone")):
            self.assert_status(404, self.wait(answer))

    def test_an_archived_job_is_answered(self):
        self.objects({"status": "success"})
        answer = self.assert_status(200, self.wait(errors.JobLost("gone")))
        self.assertEqual(answer, {"job_info": ["success"], "log_entries": []})

    def test_fields_have_a_limit(self):
        self.assert_refused(
            400, "GET", "/2/jobs/5/wait", {"fields": ["ops"] * 501}, text="at most 500"
        )

    def test_invalid_bodies_are_refused(self):
        for body, text in (
            ({}, "fields"),
            ({"fields": "status"}, "fields"),
            ([1], "object"),
            ({**self.BODY, "field": []}, "'field'"),
            ({**self.BODY, "previous_job_info": 5}, "previous_job_info"),
            ({**self.BODY, "previous_log_serial": "5"}, "previous_log_serial"),
            ({**self.BODY, "previous_log_serial": True}, "previous_log_serial"),
        ):
            self.assert_refused(400, "GET", "/2/jobs/7/wait", body, text=text)
        self.assertEqual(self.master.calls, [])


class TestWaitForSome(RapiTestCase):
    def statuses(self, **known):
        """Set the statuses of jobs, ``job7="running"``, which never change."""
        self.master.answers[luxi.WaitForJobChange] = lambda call: [
            [known[f"job{call.job_id}"], known[f"job{call.job_id}"]],
            [],
        ]

    def test_any_answers_when_one_job_has_ended(self):
        self.statuses(job7="running", job8="success")
        self.assertEqual(
            self.get("/2/jobs/wait?ids=7,8&for=any"),
            [{"id": 7, "status": "running"}, {"id": 8, "status": "success"}],
        )

    def test_all_answers_when_every_job_has_ended(self):
        self.statuses(job7="error", job8="success")
        self.assertEqual(
            self.get("/2/jobs/wait?ids=8&ids=7,8&for=all"),
            [{"id": 8, "status": "success"}, {"id": 7, "status": "error"}],
        )

    def test_all_answers_the_present_states_after_the_timeout(self):
        self.statuses(job7="running", job8="success")
        self.assertEqual(self.get("/2/jobs/wait?ids=7,8&for=all&timeout=0")[0]["status"], "running")

    def test_invalid_words_are_refused(self):
        many = ",".join(map(str, range(51)))
        for words, text in (
            ("", "'ids'"),
            ("ids=7,x", "'ids'"),
            ("ids=-7", "'ids'"),
            (f"ids={many}", "50 jobs"),
            ("ids=7&for=some", "'for'"),
        ):
            self.assert_refused(400, "GET", f"/2/jobs/wait?{words}", text=text)
        self.assert_refused(404, "GET", "/2/jobs/wait?ids=" + 20 * "9", text="there is no job 999")
        self.assertEqual(self.master.calls, [])
