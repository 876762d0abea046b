"""The reference: complete, and the page's copy of it fresh."""

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest

from ganeti.rapi import reference
from ganeti.rapi.rlib2 import RESOURCES
from ganeti.server import rapi
from support import TOP

PAGE = TOP / "doc/rapi.rst"

#: Headings of the page of the 2.0 API.
OF_2_0 = """Introduction; Protocol; Usage examples; Shell; Python; JavaScript; Resources; /; /2;
/2/info; /2/instances; /2/instances/[instance_name]; /2/instances/[instance_name]/reboot;
/2/instances/[instance_name]/shutdown; /2/instances/[instance_name]/startup;
/2/instances/[instance_name]/tags; /2/jobs; /2/jobs/[job_id]; /2/nodes;
/2/nodes/[node_name]/tags; /2/os; /2/tags; /version"""


class TestReference(unittest.TestCase):
    def setUp(self):
        self.text = reference.resources()

    def test_every_verb_has_words(self):
        for resource in RESOURCES:
            for name, verb in resource.verbs().items():
                self.assertGreater(len(verb.doc.split()), 2, f"{resource.__name__}.{name}")

    def test_a_verb_is_described_with_access_arguments_and_body(self):
        _, _, section = self.text.partition("/2/instances/[instance_name]/reboot\n")
        section = section[: section.index("/reinstall\n")]
        for words in (
            "POST\n~~~~\n",
            "Right: ``instances.reboot``.",
            "- ``type``: one of soft, hard, full; default ``hard``",
            "- ``shutdown_timeout``: integer of 0 or more; default ``120``",
            "The answer is the number of a job. Takes an ``Idempotency-Key``.",
        ):
            self.assertIn(words, section)
        self.assertNotIn("- ``instance_name``", section)

    def test_what_nobody_can_change_is_no_argument(self):
        self.assertNotIn("``ignore_failures``", self.text)

    def test_no_list_of_fields_is_empty(self):
        for resource in RESOURCES:
            for name, verb in resource.verbs().items():
                self.assertTrue(all(verb.body_reference()), f"{resource.__name__}.{name}")
        _, _, section = self.text.partition("/2/redistribute-config\n")
        self.assertIn("Body: nothing, or an object with any of the common fields.", section[:600])

    def test_types_are_those_of_json(self):
        pattern = r"^(?! ).*(?:\ba list\b|True|False|None|true or false|each item|'\w+').*"
        text = re.sub(r"``[^`\n]*``", "", self.text)
        self.assertEqual(re.findall(pattern, text, re.MULTILINE), [])

    def test_a_resource_of_ours_is_marked(self):
        _, _, section = self.text.partition("/2/jobs/wait\n")
        self.assertIn("\nGaneti has no such resource.\n", section.partition("\nGET\n")[0])
        ours = [resource for resource in RESOURCES if resource.SINCE == "ours"]
        self.assertEqual(self.text.count("Ganeti has no such resource."), len(ours))

    def test_both_names_of_a_field_are_described(self):
        self.assertIn("- ``name`` or ``instance_name``: string, a host name; required", self.text)

    def test_underlines_are_as_long_as_headings(self):
        lines = self.text.splitlines()
        for above, line in zip(lines, lines[1:]):
            if re.fullmatch(r"[+~]+", line):
                self.assertEqual(len(above), len(line), above)


class TestRouteTable(unittest.TestCase):
    def setUp(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self.assertEqual(rapi.main(["--routes"]), 0)
        self.lines = output.getvalue().splitlines()

    def test_every_verb_has_a_line(self):
        verbs = [verb for resource in RESOURCES for verb in resource.verbs().values()]
        self.assertEqual(len(self.lines), 1 + len(verbs))
        self.assertIn(
            ["/2/instances/[instance_name]/startup", "PUT", "instances.startup"]
            + ["OP_INSTANCE_STARTUP"],
            [line.split() for line in self.lines],
        )
        self.assertIn(["/version", "GET", "-", "-"], [line.split() for line in self.lines])

    def test_columns_are_aligned(self):
        for word in ("VERB", "RIGHT", "OPCODE"):
            column = self.lines[0].index(word)
            for line in self.lines:
                self.assertEqual(line[column - 1], " ", line)
                self.assertNotEqual(line[column], " ", line)

    def test_a_reader_may_close_the_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)  # before the program begins: its first write fails
        program = [sys.executable, "-P", "-m", "ganeti.server.rapi", "--routes"]
        done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


class TestPage(unittest.TestCase):
    def test_the_copy_is_fresh(self):
        text = PAGE.read_text(encoding="utf-8")
        self.assertEqual(reference.replace(text), text, "run autotools/rapi-reference")

    def test_it_has_the_sections_of_2_0(self):
        headings = re.findall(r"^(.+)\n[-+=~]+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual({word.strip() for word in OF_2_0.split(";")} - set(headings), set())
        self.assertIn(
            "``GET`` can also be sent to ``/nodes/[node_name]``", PAGE.read_text(encoding="utf-8")
        )

    def test_a_page_without_marks_is_an_error(self):
        self.assertRaises(ValueError, reference.replace, "no marks")
        page = PAGE.read_text(encoding="utf-8")
        self.assertRaises(ValueError, reference.replace, page.replace(reference.ROUTES[1], ""))

    def test_it_begins_with_the_table_of_routes(self):
        headings = re.findall(r"^(.+)\n-+$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(headings[0], "Resources at a glance")

    def test_every_link_of_the_table_has_a_heading(self):
        page = PAGE.read_text(encoding="utf-8")
        links = set(re.findall(r"^`(\S+)`_ ", page, re.MULTILINE))
        self.assertEqual(links - set(re.findall(r"^(.+)\n\++$", page, re.MULTILINE)), set())
        self.assertEqual(len(links), len(RESOURCES))
