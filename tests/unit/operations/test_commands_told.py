"""What documents, errors and closing lines tell people to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from operations.cli.main import app

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
PARTS = ("operations", "toolchain", "infra", "policies")
PROGRAMS = [path for folder in PARTS for path in sorted((ROOT / folder).rglob("*.py"))]
"""Their errors and closing lines say what to type next."""

OTHER_PROGRAMS = {"kubectl", "pulumi", "python"}
TYPED = re.compile(r"\./careops((?:[ \\\n]+[^\s`;&|#()\x22\x27,.:?…]+)+)")
APPLICATION = typer.main.get_command(app)


def wrong(words):
    """Return what of a command line does not exist, or None."""
    command, rest = APPLICATION, list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            return rest[0]
        name = rest.pop(0)
        command = command.commands[name]
        if name in OTHER_PROGRAMS:
            return None
    options = {option for param in command.params for option in param.opts} | {"--help"}
    return next((word for word in rest if word.startswith("-") and word not in options), None)


def told():
    """Yield every command line of the documents that begins with a command, with where it stands."""
    for document in [*DOCUMENTS, *PROGRAMS]:
        for match in TYPED.finditer(document.read_text(encoding="utf-8")):
            words = [word for word in match[1].replace("\\\n", " ").split() if word != "\\"]
            yield pytest.param(words, id=f"{document.relative_to(ROOT)}: {' '.join(words[:4])}")


COMMAND_LINES = list(told())


def test_the_documents_tell_people_to_type_something():
    assert len(COMMAND_LINES) > 30


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_a_command_that_people_are_told_exists_with_its_options(words):
    assert wrong(words) is None


def test_a_command_or_option_that_does_not_exist_is_found():
    assert wrong(["sandbox", "order"]) == "order"
    assert wrong(["status", "--chck"]) == "--chck"
    assert wrong(["kubectl", "get", "--anything"]) is None
