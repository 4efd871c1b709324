"""What each artifact in the cache took to build and how big it is, from the record that the build left."""

from __future__ import annotations

import json
import os

import report

from toolchain.paths import Paths

MIB = 1024 * 1024


def main() -> None:
    """Read every artifact's record, print the table and keep it.

    CPU seconds are of the build that made the artifact: with compiled packages already in the build cache they are few.
    """
    paths = Paths.from_environment(os.environ, report.ROOT)
    rows = {}
    for manifest in sorted((paths.cache / "artifacts").glob("*/manifest.json")):
        record = json.loads(manifest.read_text())
        rows[record["name"]] = {"mib": round(record["bytes"] / MIB, 1), **record.get("measured", {})}
    report.write("builds", "./careops python benchmarks/builds.py", {"artifacts": rows})


if __name__ == "__main__":
    main()
