"""Jobs over the API."""

import json

from ganeti import errors, luxi
from support.rapi import RapiTestCase, table

JOB = {
    "id": 7,
    "ops": [],
    "status": "success",
    "summary": ["TAGS_SET"],
    "opstatus": ["success"],
    "received_ts": [1, 2],
    "start_ts": [1, 3],
    "end_ts": [1, 4],
    "priority": 0,
    "waiting_for": [],
    "user": "admin",
    "request_id": "r9",
    "archived": False,
    "oplog": [[]],
    "opresult": [None],
}
LOCK = {"kind": "lock", "name": "instance/web", "mode": "exclusive", "jobs": [5]}


class TestJobs(RapiTestCase):
    def test_jobs_are_listed_by_number(self):
        self.objects({"id": 7}, {"id": 12})
        self.assertEqual(
            self.get("/2/jobs"), [{"id": 7, "uri": "/2/jobs/7"}, {"id": 12, "uri": "/2/jobs/12"}]
        )

    def test_bulk_leaves_out_logs_and_results(self):
        self.objects(JOB)
        (job,) = self.get("/2/jobs?bulk=1")
        self.assertEqual(job, {key: JOB[key] for key in JOB if key not in ("oplog", "opresult")})

    def test_bulk_does_not_ask_for_archived_which_would_list_those(self):
        self.objects({**JOB, "archived": "never asked for"})
        self.assertIs(self.get("/2/jobs?bulk=1")[0]["archived"], False)

    def test_many_are_asked_for_in_parts(self):
        jobs = [{**JOB, "id": number} for number in range(1, 121)]

        def answer(call):
            wanted = call.qfilter and {item[2] for item in call.qfilter[1:]}
            return table(
                call,
                [
                    job if job["id"] != 77 or not wanted else {"id": 77, "status": None}
                    for job in jobs
                    if not wanted or job["id"] in wanted
                ],
            )

        self.master.answers[luxi.Query] = answer
        response = self.request("GET", "/2/jobs?bulk=1")
        found = json.loads(b"".join(response.stream))
        self.assertEqual(
            [job["id"] for job in found], [number for number in range(1, 121) if number != 77]
        )
        self.assertEqual(set(found[0]), set(JOB) - {"oplog", "opresult"})
        self.assertEqual(
            [len(call.qfilter or [0]) - 1 for call in self.master.calls], [0, 50, 50, 20]
        )

    def test_without_words_nothing_is_asked_beside(self):
        self.objects()
        response = self.request("GET", "/2/jobs")
        self.assertEqual(self.master.calls, [luxi.Query("job", ["id"], None)])
        self.assertIsNone(self.header("X-Total-Count", response))

    def test_bulk_says_what_a_job_waits_for(self):
        self.objects({**JOB, "status": "waiting", "waiting_for": [LOCK]})
        self.assertEqual(self.get("/2/jobs/7")["waiting_for"], [LOCK])
        self.assertEqual(self.get("/2/jobs?bulk=1")[0]["waiting_for"], [LOCK])

    def test_what_a_real_master_does_not_know_is_empty(self):
        # It knows neither who asked nor what a job waits for.
        self.objects(
            {
                key: value
                for key, value in JOB.items()
                if key not in ("waiting_for", "user", "request_id")
            }
        )
        for job in (self.get("/2/jobs/7"), *self.get("/2/jobs?bulk=1")):
            self.assertEqual(
                [job[key] for key in ("waiting_for", "user", "request_id")], [[], None, None]
            )

    def test_one_job_is_read_with_logs_and_results(self):
        self.objects(JOB)
        self.assertEqual(self.get("/2/jobs/007"), JOB)
        self.assertEqual(self.master.calls[0].qfilter, ["==", "id", 7])

    def test_a_number_that_no_job_has_is_not_found(self):
        # As luxid answers it: the number itself, and nothing else.
        def row(call):
            answer = table(call, [{"id": 99}])
            answer["data"][0][1:] = [[3, None] for _ in call.fields[1:]]
            return answer

        self.master.answers[luxi.Query] = row
        self.assert_refused(404, "GET", "/2/jobs/99", text="job 99")

    def test_a_number_that_no_job_can_have_is_not_found(self):
        self.assert_refused(404, "GET", "/2/jobs/" + "9" * 30)
        self.assertEqual(self.master.calls, [])

    def test_a_job_lost_while_asking_is_not_found(self):
        self.master.answers[luxi.Query] = errors.JobLost("gone")
        self.assert_refused(404, "GET", "/2/jobs/7")


class TestCancel(RapiTestCase):
    def test_cancel_answers_whether_it_could(self):
        for answer in ([True, "Job 7 canceled"], [False, "Job 7 not found in queue"]):
            self.master.answers[luxi.CancelJob] = answer
            self.assertEqual(self.assert_status(200, self.request("DELETE", "/2/jobs/7")), answer)
        self.assertEqual(self.master.calls, [luxi.CancelJob(7)] * 2)

    def test_cancel_needs_the_right(self):
        self.user = "reader"
        self.assert_refused(403, "DELETE", "/2/jobs/7")
