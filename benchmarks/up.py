"""What the last `./careops up` took, phase by phase, as it recorded itself; only a run of the kind that was asked for.

`up-cold` begins with nothing, not even a cache; `up-warm` begins with everything built, but no cluster.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, Final

import report

from operations.environments import ORDER
from toolchain.paths import Paths

GOAL_SECONDS: Final = {"up-cold": 30 * 60, "up-warm": 5 * 60}
"""By question, for a machine with two cores; the README states them beside what was measured."""

SCHEMA: Final = 2


def refusals(record: dict[str, Any], question: str) -> list[str]:
    """Return why a run does not answer a question; nothing when it does.

    Args:
        record: `last-up.json`.
        question: One of `GOAL_SECONDS`.
    """
    if record.get("schema") != SCHEMA:
        return [f"its record has the form {record.get('schema')}, not {SCHEMA}: it does not say what there was before"]
    found = []
    if not record["finished"]:
        found.append("it did not finish: its times say nothing")
    before = record["circumstances"]
    if before.get("cluster_existed") is not False:
        found.append("there was a cluster already: ./careops down --all removes it")
    if before.get("stacks_existed") != []:
        found.append(f"stacks existed already: {', '.join(before.get('stacks_existed') or ['unknown'])}")
    deployed = {phase["name"].removeprefix("deploy:") for phase in record["phases"]}
    missing = [name for name in ORDER if name not in deployed]
    if missing:
        found.append(f"it did not deploy {', '.join(missing)}")
    built, cached = before.get("artifacts_built"), before.get("artifacts_found")
    if question == "up-warm" and built != 0:
        found.append(f"{built} artifacts had to be built: the cache was not warm")
    if question == "up-cold" and (cached != 0 or not built):
        found.append(
            f"{cached} artifacts were in the cache already and {built} were built: it was not an empty machine"
        )
    return found


def main() -> None:
    """Read the record of the last `up`, compare it with the goal, and keep it under the question that it answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as", dest="question", default="up-warm", choices=sorted(GOAL_SECONDS))
    question = parser.parse_args().question
    paths = Paths.from_environment(os.environ, report.ROOT)
    record = json.loads((paths.state / "last-up.json").read_text())
    if reasons := refusals(record, question):
        raise SystemExit(
            f"the last `up` does not answer {question}:\n" + "\n".join(f"  {reason}" for reason in reasons)
        )
    goal, seconds = GOAL_SECONDS[question], record["seconds"]
    result = {
        "total_seconds": seconds,
        "goal_seconds": goal,
        "goal_met": seconds <= goal,
        "started": record["started"],
        "circumstances": record["circumstances"],
        "phase_seconds": {phase["name"]: phase["seconds"] for phase in record["phases"]},
        "phase_began": {phase["name"]: phase["began"] for phase in record["phases"]},
    }
    report.write(question, f"./careops up && ./careops python benchmarks/up.py --as {question}", result)


if __name__ == "__main__":
    main()
