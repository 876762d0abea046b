"""The connection pool: a connection for each call at a time, used again afterwards."""

import threading
import unittest

from ganeti import errors, luxi
from ganeti.luxi import RequestContext
from ganeti.luxi.client import ConnectionPool


class FakeClient:
    """Answers with itself; may wait, or fail."""

    def __init__(self, enter=lambda: None):
        self.enter = enter
        self.closed = False

    def ask(self, call, context=None):
        self.enter()
        return luxi.Reply((self, call, context), {"total": 3})

    def begin(self, call, context=None):
        self.enter()
        return lambda: (self, call, context)

    def close(self):
        self.closed = True


class TestConnectionPool(unittest.TestCase):
    def setUp(self):
        self.made = []

    def pool(self, enter=lambda: None, **options):
        def make():
            self.made.append(FakeClient(enter))
            return self.made[-1]

        return ConnectionPool(make, **options)

    def test_one_connection_serves_calls_one_after_the_other(self):
        pool = self.pool()
        first, _, _ = pool.call(luxi.QueryClusterInfo())
        second, _, _ = pool.call(luxi.QueryClusterInfo())
        self.assertIs(first, second)

    def test_a_call_and_its_context_are_passed_to_the_client(self):
        context = RequestContext(user="admin")
        self.assertEqual(
            self.pool().call(luxi.CancelJob(3), context)[1:], (luxi.CancelJob(3), context)
        )

    def test_notes_of_a_reply_are_returned(self):
        self.assertEqual(self.pool().ask(luxi.CancelJob(3)).notes, {"total": 3})

    def test_a_bound_client_says_who_asks(self):
        context = RequestContext(user="admin")
        bound = self.pool().bound(context)
        self.assertEqual(bound.call(luxi.CancelJob(3))[1:], (luxi.CancelJob(3), context))
        self.assertEqual(bound.ask(luxi.CancelJob(3)).notes, {"total": 3})
        self.assertEqual(bound.begin(luxi.CancelJob(3))()[1:], (luxi.CancelJob(3), context))

    def test_a_change_can_be_prevented_and_a_reading_cannot(self):
        def refuse():
            raise errors.GenericError("not now")

        bound = self.pool().bound(RequestContext(), refuse)
        bound.call(luxi.QueryClusterInfo())
        self.assertRaises(errors.GenericError, bound.call, luxi.CancelJob(3))
        self.assertEqual(len(self.made), 1)

    def test_a_bound_client_waits_by_the_job_watcher(self):
        call = luxi.WaitForJobChange(3, ["status"], None, None, 60)
        pool = self.pool(wait_for_job=lambda *args: args)
        self.assertEqual(pool.bound(RequestContext()).wait(call, all), (call, all))
        bound = self.pool().bound(RequestContext())
        self.assertRaises(errors.ProgrammerError, bound.wait, call, all)

    def test_a_call_that_is_begun_keeps_its_connection(self):
        pool = self.pool()
        finish = pool.begin(luxi.CancelJob(3))
        other, _, _ = pool.call(luxi.CancelJob(4))
        mine, call, _ = finish()
        self.assertEqual(call, luxi.CancelJob(3))
        self.assertIsNot(mine, other)
        self.assertIs(pool.call(luxi.CancelJob(5))[0], mine)

    def test_a_call_that_cannot_be_begun_gives_its_connection_back(self):
        def fail():
            raise errors.NoMaster("gone")

        pool = self.pool(fail)
        for _ in range(2):
            with self.assertRaises(errors.NoMaster):
                pool.begin(luxi.QueryClusterInfo())
        self.assertEqual(len(self.made), 1)

    def test_concurrent_calls_have_a_connection_each(self):
        both = threading.Barrier(2)
        pool = self.pool(lambda: both.wait(60))
        other = threading.Thread(target=pool.call, args=(luxi.QueryClusterInfo(),))
        other.start()
        pool.call(luxi.QueryClusterInfo())
        other.join()
        self.assertEqual(len(self.made), 2)

    def test_a_client_is_kept_after_an_error(self):
        def fail():
            raise errors.JobLost("gone")

        pool = self.pool(fail)
        for _ in range(2):
            self.assertRaises(errors.JobLost, pool.call, luxi.QueryClusterInfo())
        self.assertEqual(len(self.made), 1)

    def test_the_pool_keeps_no_more_connections_than_wanted(self):
        pool = self.pool(keep=0)
        client, _, _ = pool.call(luxi.QueryClusterInfo())
        self.assertTrue(client.closed)

    def test_close_closes_idle_connections(self):
        pool = self.pool()
        client, _, _ = pool.call(luxi.QueryClusterInfo())
        pool.close()
        self.assertTrue(client.closed)
