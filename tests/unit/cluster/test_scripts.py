"""The node's shell scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.cluster.node import SCRIPTS
from toolchain.cluster.services import script, services
from toolchain.cluster.spec import ClusterSpec


def shellcheck(*arguments, text=None):
    return subprocess.run(
        [str(Path(sys.executable).with_name("shellcheck")), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_has_no_finding(path):
    found = shellcheck(str(path))
    assert found.returncode == 0, found.stdout


def test_the_linter_finds_what_is_wrong():
    assert shellcheck("-", text='#!/bin/bash\nrm -rf $1/"*"\n').returncode != 0


@pytest.mark.parametrize("service", services(ClusterSpec()), ids=lambda service: service.name)
def test_a_generated_script_has_no_finding(service):
    found = shellcheck("-", text=script(service))
    assert found.returncode == 0, found.stdout
