"""The examples of the reference are answered as they say."""

import json
import re
from typing import NamedTuple

import pytest

from ganeti.rapi import reference
from ganeti.rapi.rlib2 import RESOURCES, networks
from support.daemon import DaemonCluster
from support.rapi import JOB_ID, RapiTestCase

#: A literal block of requests, each with its body, if any, and its answer.
BLOCK = re.compile(r"^(?:Example|Another|Others)\b[^\n]*::\n\n((?:    [^\n]*\n|\n)+)", re.M)


class Example(NamedTuple):
    """One request, and the JSON that answers it."""

    method: str
    target: str
    body: object
    answer: object


def read(block):
    """Yield the examples of a literal block."""
    text = re.sub(r"^    ", "", block, flags=re.M).strip()
    for part in re.split(r"\n\n(?=(?:GET|POST|PUT|DELETE) /)", text):
        head, _, answer = part.rpartition("\n\n")
        method, target, *body = re.split(r"[ \n]", head, maxsplit=2)
        yield Example(method, target, json.loads(body[0]) if body else None, json.loads(answer))


EXAMPLES = [one for block in BLOCK.findall(reference.resources()) for one in read(block)]
JOBS = [one for one in EXAMPLES if one.answer == JOB_ID]
#: Our master has no networks, so that it cannot answer these.
OF_NETWORKS = [one for one in EXAMPLES if one.target.startswith("/2/networks/net1")]
READS = [
    one
    for one in EXAMPLES
    if one.method == "GET" and one.answer != JOB_ID and one not in OF_NETWORKS
]
RULE = next(one for one in EXAMPLES if (one.method, one.target) == ("POST", "/2/filters"))


def test_every_verb_has_an_example():
    shown = [(one.method, one.target.partition("?")[0]) for one in EXAMPLES]
    for resource in RESOURCES:
        pattern = re.sub(r"\{\w+\}", r"[^/]+", resource.URI)
        for method in resource.verbs():
            assert any(method == verb and re.fullmatch(pattern, path) for verb, path in shown), (
                f"{method} {resource.URI}"
            )


def test_a_network_has_the_keys_of_its_example():
    (answer,) = [one.answer for one in OF_NETWORKS if isinstance(one.answer, dict)]
    assert answer.keys() <= set(networks.FIELDS)


def test_every_block_is_read():
    assert len(JOBS) > 30 and len(READS) > 15
    assert len(BLOCK.findall(reference.resources())) == reference.resources().count("::\n\n    ")


class TestExamplesOfChanges(RapiTestCase):
    def test_each_submits_a_job(self):
        for example in JOBS:
            with self.subTest(example=f"{example.method} {example.target}"):
                self.assert_job(self.request(example.method, example.target, example.body))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with DaemonCluster(tmp_path_factory.mktemp("examples")).start() as cluster:
        cluster.create()
        cluster.do("PUT", "/2/tags?tag=x")
        cluster.do("DELETE", "/2/tags?tag=x")
        assert cluster.request("PUT", f"/2/filters/{RULE.answer}", RULE.body).status == 200
        yield cluster


def same_shape(example, answer):
    """Return whether an answer has the types of the example's, and at least its keys."""
    if isinstance(example, dict):
        return isinstance(answer, dict) and all(
            key in answer and same_shape(value, answer[key]) for key, value in example.items()
        )
    if isinstance(example, list):
        return isinstance(answer, list) and all(
            same_shape(one, other) for one, other in zip(example, answer)
        )
    return example is None or answer is None or type(example) is type(answer)


@pytest.mark.parametrize("example", READS, ids=[f"GET {one.target}" for one in READS])
def test_each_reading_example_is_answered_so(cluster, example):
    answer = cluster.get(example.target, body=example.body)
    assert answer.status == 200, answer.text
    assert same_shape(example.answer, answer.json), answer.text
