"""The checks that need no platform and no test: style, types, imports, shell scripts, Containerfiles."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SKIPPED_FOLDERS = frozenset({".git", ".venv", "node_modules", "__pycache__"})
STATE_PREFIX = ".careops"
SHELLS = (b"bash", b"sh", b"dash")
FIRST_LINE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: For the report.
        command: What to run in the checkout; exit status 0 means it passed.
        fix: What usually mends it.
    """

    name: str
    command: tuple[str, ...]
    fix: str


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of a check.

    Attributes:
        check: The check.
        passed: Whether it passed.
        output: What it printed.
    """

    check: Check
    passed: bool
    output: str


def checks(programs: Path, shell_scripts: Sequence[Path], containerfiles: Sequence[Path]) -> tuple[Check, ...]:
    """Return every check.

    Args:
        programs: Folder of the locked environment's programs.
        shell_scripts: Every shell script of the checkout.
        containerfiles: The rendered Containerfiles.

    Raises:
        ValueError: There is nothing to check: a check of an empty list would always pass.
    """
    if not shell_scripts or not containerfiles:
        raise ValueError("no shell script or no Containerfile was found: the search is broken, not the project clean")

    def program(name: str) -> str:
        return str(programs / name)

    return (
        Check(name="ruff check", command=(program("ruff"), "check", "."), fix="ruff check --fix ."),
        Check(name="ruff format", command=(program("ruff"), "format", "--check", "."), fix="ruff format ."),
        Check(name="ty", command=(program("ty"), "check"), fix="correct the types"),
        Check(
            name="import contracts", command=(program("lint-imports"),), fix="see [tool.importlinter] in pyproject.toml"
        ),
        Check(
            name="shellcheck",
            command=(program("shellcheck"), *map(str, shell_scripts)),
            fix="each finding names its page",
        ),
        Check(
            name="hadolint",
            command=(program("hadolint"), *map(str, containerfiles)),
            fix="each finding names its page",
        ),
    )


PLACEHOLDERS: dict[str, object] = {
    "baseline": "standard",
    "major": "17",
    "name": "example",
    "nginx_package": "1.0-1",
    "odoo_image": "careops.local/odoo:19.0",
    "odoo_package": "19.0-1",
    "odoo_version": "19.0",
    "postgresql_package": "17.0-1",
    "psycopg_package": "3.2.6-1",
    "uid": 10000,
    "version": "1.0.0",
}
"""Values every Containerfile template can be rendered with; a template with a new one stops the gate by its name."""


def containerfiles(root: Path, folder: Path) -> tuple[Path, ...]:
    """Render every Containerfile template of a checkout into a folder, for linting.

    Raises:
        BuildFailed: A template uses a value that is not in `PLACEHOLDERS`.
    """
    from toolchain.images.containerfile import render

    rendered = []
    for template in sorted(
        path for path in _files(root) if path.name.startswith("Containerfile.") and path.suffix == ".j2"
    ):
        target = folder / f"{template.parent.parent.name}-{template.stem}"
        target.write_text(render(template, PLACEHOLDERS))
        rendered.append(target)
    return tuple(rendered)


def run_check(check: Check, root: Path) -> CheckResult:
    """Run one check in the checkout."""
    done = subprocess.run(
        check.command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return CheckResult(check=check, passed=done.returncode == 0, output=(done.stdout + done.stderr).strip())


def shell_scripts(root: Path) -> tuple[Path, ...]:
    """Return every shell script of a checkout: by its name, or by its first line."""
    return tuple(sorted(path for path in _files(root) if path.suffix in {".sh", ".bash"} or _is_shell(path)))


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or path.name in SKIPPED_FOLDERS or path.name.startswith(STATE_PREFIX):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _is_shell(path: Path) -> bool:
    if path.suffix and path.parent.name != "hooks":
        return False
    with path.open("rb") as file:
        line = file.read(FIRST_LINE_BYTES).split(b"\n", 1)[0]
    return line.startswith(b"#!") and line.split(b"/")[-1].split()[-1] in SHELLS
