"""What each phase of the last `./careops up` took, as it recorded itself."""

from __future__ import annotations

import argparse
import json
import os

import report

from toolchain.paths import Paths


def main() -> None:
    """Read the record of the last `up`, print it and keep it under the name of the question it answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as", dest="question", default="up-warm", choices=["up-warm", "up-cold"])
    question = parser.parse_args().question
    paths = Paths.from_environment(os.environ, report.ROOT)
    record = json.loads((paths.state / "last-up.json").read_text())
    if not record["finished"]:
        raise SystemExit("the last `up` did not finish: its times say nothing")
    phases = {phase["name"]: phase["seconds"] for phase in record["phases"]}
    command = f"./careops up && ./careops python benchmarks/up.py --as {question}"
    report.write(question, command, {"total_seconds": record["seconds"], "phase_seconds": phases})


if __name__ == "__main__":
    main()
