"""A checkout whose settings a test may spoil."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.declared import ROOT

if TYPE_CHECKING:
    from pathlib import Path


class Checkout:
    """A copy of the repository's settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sites").mkdir()
        for path in [*ROOT.glob("Pulumi.*.yaml"), *ROOT.glob("sites/*.yaml")]:
            shutil.copy(path, root / path.relative_to(ROOT))

    def edit(self, file: str, **changes: Any) -> None:
        """Change values of a file by dotted path; `...` removes one."""
        path = self.root / file
        document = yaml.safe_load(path.read_text())
        values = document["config"] if file.startswith("Pulumi.") else document
        for dotted, value in changes.items():
            first, *rest = dotted.split("__")
            target, key = values, f"careops:{first}" if file.startswith("Pulumi.") else first
            for part in rest:
                target, key = target[key], part
            if value is ...:
                target.pop(key)
            else:
                target[key] = value
        path.write_text(yaml.safe_dump(document))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)
