"""Random histories of the queue, compared with a model; ``qa/faults/model`` runs more of them."""

import logging

import pytest

hypothesis = pytest.importorskip("hypothesis")


def test_the_queue_behaves_like_its_model(request):
    from hypothesis.stateful import run_state_machine_as_test

    from support.model import QueueMachine

    request.addfinalizer(lambda: logging.disable(logging.NOTSET))  # including the caches of loggers
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
