"""An unchanged environment: `pulumi up` and preview, against a bare Pulumi program's preview in the same run.

A run that would change anything fails the benchmark: it is not what the question is about.
The bare program declares nothing, so its preview is what Pulumi itself costs: engine, language host and Python.
The ratio says what our components, the Kubernetes plugin and the policies add.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import report

from toolchain.paths import Paths
from toolchain.pulumi.workspace import environment

BARE_PROJECT = "name: bare\nruntime:\n  name: python\n  options: {virtualenv: %s}\n"
BARE_PROGRAM = "import pulumi\n\npulumi.export('answer', 42)\n"


def seconds(argv: list[str], cwd: Path, env: dict[str, str]) -> float:
    """Run a command and return its wall time; a failing command fails the benchmark."""
    started = time.monotonic()
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - started


def bare_program(folder: Path, env: dict[str, str]) -> None:
    folder.joinpath("Pulumi.yaml").write_text(BARE_PROJECT % (report.ROOT / ".venv"))
    folder.joinpath("__main__.py").write_text(BARE_PROGRAM)
    seconds(["pulumi", "stack", "init", "bare"], folder, env)


def main() -> None:
    """Measure, print and record medians with their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", nargs="?", default="dev")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    paths = Paths.from_environment(os.environ, report.ROOT)
    env = os.environ | environment(paths)
    pack = ["--policy-pack", "policies"]
    unchanged = "--expect-no-changes"
    with tempfile.TemporaryDirectory() as temporary:
        bare, backend = Path(temporary, "program"), Path(temporary, "state")
        bare.mkdir()
        backend.mkdir()
        bare_env = env | {"PULUMI_BACKEND_URL": f"file://{backend}"}
        bare_program(bare, bare_env)
        # A copy, because Pulumi writes its encryption salt into the settings file that it reads.
        settings = Path(shutil.copy(report.ROOT / f"Pulumi.{arguments.environment}.yaml", temporary))
        stack = ["--stack", arguments.environment, "--config-file", str(settings)]
        commands = {
            "bare preview": (["pulumi", "preview", "--stack", "bare"], bare, bare_env),
            "preview": (["pulumi", "preview", unchanged, *stack], report.ROOT, env),
            "preview with policies": (["pulumi", "preview", unchanged, *stack, *pack], report.ROOT, env),
            "up": (["pulumi", "up", unchanged, "--yes", *stack], report.ROOT, env),
            "up with policies": (["pulumi", "up", unchanged, "--yes", *stack, *pack], report.ROOT, env),
        }
        measured: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):  # interleaved, so that a busy moment hits all of them
            for name, command in commands.items():
                measured[name].append(seconds(*command))
    medians = {name: round(statistics.median(values), 2) for name, values in measured.items()}
    result = {
        "environment": arguments.environment,
        "median_seconds": medians,
        "range_seconds": {name: [round(min(v), 2), round(max(v), 2)] for name, v in measured.items()},
        "preview_to_bare_preview_ratio": round(medians["preview"] / medians["bare preview"], 2),
        "preview_with_policies_to_bare_preview_ratio": round(
            medians["preview with policies"] / medians["bare preview"], 2
        ),
    }
    report.write("converged", f"./careops python benchmarks/converged.py {arguments.environment}", result)


if __name__ == "__main__":
    main()
