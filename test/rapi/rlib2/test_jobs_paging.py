"""Pages of the list of jobs, which are the same from our master and from a real one."""

from ganeti import luxi
from support.rapi import RapiTestCase, table

STATUSES = {1: "success", 2: "error", 9: "running", 10: "queued", 11: "queued"}


def job(number, **fields):
    return {
        "id": number,
        "status": STATUSES[number],
        "summary": [f"JOB_{number}"],
        "received_ts": [1000 + number, 500000],
        "archived": number == 1,
        **fields,
    }


class PagingTestCase(RapiTestCase):
    """A real luxid: it passes the paging over, and answers all."""

    def setUp(self):
        super().setUp()
        self.jobs = {number: job(number) for number in STATUSES}
        self.master.answers[luxi.Query] = self.luxid

    def luxid(self, call):
        if call.qfilter is not None:
            return table(
                call,
                [
                    self.jobs.get(number, {"id": number, "status": None})
                    for _, _, number in call.qfilter[1:]
                ],
            )
        return table(
            call,
            [
                found
                for found in self.jobs.values()
                if "archived" in call.fields or not found["archived"]
            ],
        )

    def ids(self, query):
        self.response = self.request("GET", f"/2/jobs?{query}")
        found = self.assert_status(200, self.response)
        for entry in found:
            self.assertEqual(entry, {"id": entry["id"], "uri": f"/2/jobs/{entry['id']}"})
        return [entry["id"] for entry in found]

    def assert_page(self, query, ids, total, after=None):
        """Check the jobs of a page, the total, and the link to the jobs after ``after``, if any."""
        self.assertEqual(self.ids(query), ids)
        self.assertEqual(self.header("X-Total-Count", self.response), str(total))
        link = self.header("Link", self.response)
        expected = (
            None
            if after is None
            else (f'</2/jobs?{query.partition("&after=")[0]}&after={after}>; rel="next"')
        )
        self.assertEqual(link, expected)


class TestJobPages(PagingTestCase):
    def test_jobs_are_selected_by_status(self):
        self.assert_page("status=queued", [10, 11], 2)
        self.assert_page("status=error,running&status=queued", [2, 9, 10, 11], 4)
        self.assert_page("status=canceled", [], 0)

    def test_archived_jobs_are_listed_only_if_asked_for(self):
        self.assert_page("archived=0", [2, 9, 10, 11], 4)
        self.assert_page("archived=1", [1, 2, 9, 10, 11], 5)
        self.assert_page("archived=1&status=success", [1], 1)

    def test_order_is_that_of_numbers(self):
        self.jobs = dict(sorted(self.jobs.items(), key=lambda item: str(item[0])))
        self.assert_page("order=asc", [2, 9, 10, 11], 4)
        self.assert_page("order=desc", [11, 10, 9, 2], 4)

    def test_since_includes_its_moment(self):
        for since, ids in (
            ("1010.5", [10, 11]),
            ("1010.500000", [10, 11]),
            ("1011", [11]),
            ("1010.500001", [11]),
            ("1010.5000001", [11]),
            ("0", [2, 9, 10, 11]),
        ):
            self.assert_page(f"since={since}", ids, len(ids))

    def test_a_job_without_a_time_is_no_match(self):
        self.jobs[9]["received_ts"] = None
        self.assert_page("since=0", [2, 10, 11], 3)

    def test_after_and_limit_do_not_change_the_total(self):
        self.assert_page("limit=2", [2, 9], 4, after=9)
        self.assert_page("limit=2&after=9", [10, 11], 4)
        self.assert_page("limit=2&after=11", [], 4)
        self.assert_page("after=2", [9, 10, 11], 4)

    def test_downwards_after_is_below(self):
        self.assert_page("order=desc&limit=3", [11, 10, 9], 4, after=9)
        self.assert_page("order=desc&limit=3&after=9", [2], 4)

    def test_following_the_links_finds_everything_once(self):
        for order, expected in (("asc", [1, 2, 9, 10, 11]), ("desc", [11, 10, 9, 2, 1])):
            found, query = [], f"archived=1&order={order}&limit=2"
            while query:
                found += self.ids(query)
                link = self.header("Link", self.response)
                query = link and link[len("</2/jobs?") : -len('>; rel="next"')]
            self.assertEqual(found, expected)

    def test_the_other_words_stay_in_the_link(self):
        self.ids("x=%22%0A&status=queued,error&limit=1&since=3")
        self.assertEqual(
            self.header("Link", self.response),
            '</2/jobs?x=%22%0A&status=queued%2Cerror&limit=1&since=3&after=2>; rel="next"',
        )


class TestBulk(PagingTestCase):
    def test_a_second_query_asks_for_the_page_alone(self):
        found = self.get("/2/jobs?bulk=1&order=desc&limit=2")
        self.assertEqual([job["summary"] for job in found], [["JOB_11"], ["JOB_10"]])
        light, full = self.master.calls
        self.assertEqual(light.fields, ["id", "status", "received_ts"])
        self.assertEqual(full.qfilter, ["|", ["==", "id", 11], ["==", "id", 10]])

    def test_archived_ones_say_so(self):
        found = self.get("/2/jobs?bulk=1&archived=1&limit=2")
        self.assertEqual([job["archived"] for job in found], [True, False])

    def test_what_vanished_in_between_is_left_out(self):
        def vanishing(call):
            answer = self.luxid(call)
            self.jobs.pop(10, None)
            return answer

        self.master.answers[luxi.Query] = vanishing
        self.assertEqual([job["id"] for job in self.get("/2/jobs?bulk=1&status=queued")], [11])

    def test_an_empty_page_asks_no_more(self):
        self.assertEqual(self.get("/2/jobs?bulk=1&status=canceled"), [])
        self.assertEqual(len(self.master.calls), 1)


class TestOurMaster(PagingTestCase):
    def paging(self, query):
        self.ids(query)
        return self.master.calls[-1].paging

    def test_it_is_told_what_was_given(self):
        for query, paging in (
            ("status=queued,error", {"status": ["queued", "error"]}),
            ("since=1010", {"since": 1010}),
            ("since=1010.25", {"since": 1010.25}),
            ("after=9", {"after": 9}),
            ("order=asc", {"descending": False}),
            ("order=desc", {"descending": True}),
            ("archived=1", {"archived": True}),
            # One more than asked for, to see whether there is more.
            ("limit=1000", {"limit": 1001}),
        ):
            self.assertEqual(self.paging(query), paging)

    def test_it_cuts_and_counts(self):
        def ours(call):
            return luxi.Reply(table(call, [self.jobs[2], self.jobs[9]]), {"total": 4000})

        self.master.answers[luxi.Query] = ours
        self.assert_page("limit=1", [2], 4000, after=2)


class TestRefusals(PagingTestCase):
    def test_invalid_words_are_refused(self):
        for query in (
            "status=done",
            "status=queued,done",
            "status=,",
            "since=yesterday",
            "since=-1",
            "since=1e9",
            "since=1_0",
            "after=x",
            "after=-1",
            "order=up",
            "limit=0",
            "limit=1001",
            "limit=x",
            "archived=maybe",
        ):
            word, _, value = query.partition("=")
            self.assert_refused(400, "GET", f"/2/jobs?{query}", text=f"'{word}' parameter")
        self.assertEqual(self.master.calls, [])

    def test_the_status_that_is_none_is_named(self):
        self.assert_refused(400, "GET", "/2/jobs?status=queued,done", text="not 'done'")

    def test_an_answer_without_numbers_is_502(self):
        self.jobs[2]["id"] = "x"
        self.assert_refused(502, "GET", "/2/jobs?limit=1", text="job")
