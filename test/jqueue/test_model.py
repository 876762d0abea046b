"""Random lives of the queue beside a model of it; ``qa/faults/model`` leads more of them."""

import logging

import pytest

hypothesis = pytest.importorskip("hypothesis")


def test_the_queue_behaves_like_its_model(request):
    from hypothesis.stateful import run_state_machine_as_test

    from support.model import QueueMachine

    request.addfinalizer(lambda: logging.disable(logging.NOTSET))  # what loggers remember, too
    logging.disable(logging.CRITICAL)
    run_state_machine_as_test(
        QueueMachine,
        settings=hypothesis.settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
