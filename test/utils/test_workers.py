"""Threads that work."""

import threading

from ganeti.utils.workers import WorkerPool


def test_a_pool_works_in_parallel_up_to_its_size():
    pool, meeting, done = WorkerPool(3), threading.Barrier(4), []
    for _ in range(3):
        pool.submit(lambda: (meeting.wait(10), done.append(threading.current_thread().name)))
    meeting.wait(10)  # all three are at work at once
    pool.close()
    for thread in pool._threads:
        thread.join(10)
    assert sorted(done) == ["worker-0", "worker-1", "worker-2"]


def test_work_that_fails_is_logged_and_its_thread_continues(caplog):
    pool, done = WorkerPool(1), threading.Event()
    pool.submit(lambda: 1 // 0)
    pool.submit(done.set)
    assert done.wait(10)
    assert "ZeroDivisionError" in caplog.text
    pool.close()


def test_a_pool_has_no_threads_before_there_is_work():
    pool = WorkerPool(3)
    assert pool._threads == []
    pool.close()


def test_threads_of_a_pool_do_not_keep_the_process_alive():
    pool = WorkerPool(1)
    pool.submit(lambda: None)
    assert all(thread.daemon for thread in pool._threads)
    pool.close()
