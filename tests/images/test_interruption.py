"""A build that is killed leaves no process, no mount and no half result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odoo_image import specs
from tests.images.support import ROOT, paths
from toolchain.images import rootfs
from toolchain.images.sandbox import scratch
from toolchain.progress import NullReporter

pytestmark = pytest.mark.live

BUILD = """
import sys
from pathlib import Path
from odoo_image import baseline
from toolchain.paths import Paths
from toolchain.progress import PlainReporter
odoo, postgresql, folder, root = map(Path, sys.argv[1:])
baseline.build(Paths(root=root, state=folder, cache=folder), odoo, postgresql, PlainReporter(sys.stdout))
"""


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def processes_of(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "root").readlink()) or str(folder) in (process / "cmdline").read_text():
                found.append(process.name)
        except OSError:
            continue
    return [pid for pid in found if int(pid) != os.getpid()]


@pytest.fixture
def artifacts():
    def refuse():
        pytest.fail("the root file systems are not in the cache: run `careops up` first")

    return [rootfs.build(paths(), recipe, refuse, NullReporter()) for recipe in (specs.ODOO, specs.POSTGRESQL)]


def test_a_killed_baseline_build_leaves_nothing_and_the_next_one_cleans_its_folder(artifacts):
    with scratch(paths().cache, "test-interruption") as folder:
        search = os.pathsep.join([str(ROOT / "odoo-image"), str(ROOT)])
        build = subprocess.Popen(
            [sys.executable, "-c", BUILD, *map(str, artifacts), str(folder), str(ROOT)],
            env={**os.environ, "PYTHONPATH": search},
            stdout=subprocess.DEVNULL,
        )
        log = folder / "logs" / "odoo-baselines.log"
        wait_for(lambda: log.exists() and "installing modules" in log.read_text(), 120)
        time.sleep(2)
        assert len(processes_of(folder)) > 3, "PostgreSQL and Odoo must have been at work"
        build.kill()
        build.wait()
        wait_for(lambda: processes_of(folder) == [], 10)
        assert str(folder) not in Path("/proc/mounts").read_text()
        assert not list((folder / "artifacts").glob("odoo-baselines-*")), "no half result under the result's name"
        left = list(folder.glob("baseline-*"))
        assert left
        with scratch(folder, "baseline"):
            assert not left[0].exists(), "the next build removes what a killed one left"
