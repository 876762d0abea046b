"""The environment of OS scripts equals that of Ganeti 3.0.2, word for word.

``data/os-environments.json`` was recorded on a real cluster of one node (Debian's 3.0.2; the
hypervisor fake, and kvm with a program that only prints a version): instances were created
and reinstalled through its remote API, with OS definitions whose scripts copied
``/proc/$$/environ``. Our master carries out the same requests here.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from ganeti import opcodes
from support import DATA
from support.lu import LUTestCase

RECORDED = json.loads((DATA / "os-environments.json").read_text())

#: A script that keeps its arguments and environment.
KEEP = """#!/bin/sh
number=$(ls runs | wc -l)
{ echo "${0##*/} $*"; cat /proc/$$/environ; } > runs/$number
"""
NAME = "inst1.example.com"

#: What differs by nature, wherever it is.
BY_NATURE = [
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"aa(:[0-9a-f]{2}){5}", "MAC"),
    (r"^1[0-9]{9}\.[0-9]+$", "TIME"),
]


class TestRecorded(LUTestCase):
    maxDiff = None

    def setUp(self) -> None:
        super().setUp()
        self.change(
            self.config.cluster,
            enabled_hypervisors=["fake", "kvm"],
            nicparams={"default": {"mode": "bridged", "link": "br0", "vlan": ""}},
        )

    def test_every_script_sees_what_it_sees_with_ganeti(self) -> None:
        for case in RECORDED["cases"]:
            with self.subTest(case["words"]):
                self.assertEqual(
                    self.runs_of(case),
                    [
                        (run["script"], run["arguments"], self.normal(run["environment"]))
                        for run in case["runs"]
                    ],
                )

    def test_the_recording_has_what_differs_between_versions(self) -> None:
        seen = {
            (run["environment"]["OS_API_VERSION"], run["script"])
            for case in RECORDED["cases"]
            for run in case["runs"]
        }
        self.assertEqual(
            seen, {("10", "create"), ("15", "create"), ("20", "create"), ("20", "verify")}
        )

    def runs_of(self, case: dict[str, Any]) -> list[tuple[str, list[str], dict[str, str]]]:
        for name in RECORDED["definitions"]:
            self.define(name)
        self.run_op(self.create_op(NAME, **case["create"]))
        if "reinstall" in case:
            self.run_op(opcodes.OpInstanceReinstall(instance_name=NAME, **case["reinstall"]))
        self.run_op(opcodes.OpInstanceRemove(instance_name=NAME, ignore_failures=True))
        folder = Path(f"{self.paths.os_search_path[0]}/runs")
        found = [
            (folder / str(number)).read_text().partition("\n")
            for number in range(len(os.listdir(folder)))
        ]
        for file in folder.iterdir():
            file.unlink()
        return [
            (
                head.split()[0],
                head.split()[1:],
                self.normal(dict(word.split("=", 1) for word in rest.split("\0") if word)),
            )
            for head, _, rest in found
        ]

    def define(self, name: str) -> None:
        """Write the recorded definition; the scripts of all of them log to one directory."""
        folder = Path(f"{self.paths.os_search_path[0]}/{name}")
        folder.mkdir(exist_ok=True)
        (folder.parent / "runs").mkdir(exist_ok=True)
        for script in ("create", "import", "export", "rename", "verify"):
            (folder / script).write_text(KEEP.replace("runs", "../runs"))
            (folder / script).chmod(0o755)
        for file, text in RECORDED["definitions"][name].items():
            (folder / file).write_text(text)

    def normal(self, environment: dict[str, str]) -> dict[str, str]:
        return {name: self.normal_text(value) for name, value in environment.items()}

    def normal_text(self, value: str) -> str:
        value = value.replace(self.root, "")
        for pattern, word in BY_NATURE:
            value = re.sub(pattern, word, value)
        return value
