"""Read the catalogue's files; every mistake of all of them is told at once, with file and line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from operations.anonymise.model import (
    PERSONAL,
    Action,
    Catalogue,
    Classification,
    ColumnRule,
    Gdpr,
    SafeHarbor,
    TableRule,
)
from operations.anonymise.rules.grammar import Effect, RuleError, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).with_name("data")
COLUMN_HEADER = ("table", "column", "classification", "safe_harbor", "gdpr", "rule", "note")
TABLE_HEADER = ("table", "action", "where", "why")
OVERRIDE = "override"
"""Last field of a site's file: why its line takes the place of the shipped one."""

_Word = TypeVar("_Word", bound=StrEnum)


class CatalogueError(Exception):
    """The catalogue cannot be used.

    Attributes:
        mistakes: Each with ``file:line`` in front.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("the catalogue has mistakes:\n" + "\n".join(self.mistakes))


@dataclass(kw_only=True)
class _Reading:
    columns: dict[str, dict[str, ColumnRule]] = field(default_factory=dict)
    tables: dict[str, TableRule] = field(default_factory=dict)
    replaced: dict[str, dict[str, ColumnRule]] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def load(extra: Sequence[Path] = ()) -> Catalogue:
    """Return the shipped catalogue with a site's own files.

    Args:
        extra: The site's files, each with the columns of `COLUMN_HEADER` or `TABLE_HEADER` and optionally
            `OVERRIDE`. A line about something that is classified already needs the reason in that field.

    Raises:
        CatalogueError: Any line of any file is wrong; all are told.
    """
    return read((*sorted(DATA.glob("*.tsv")), *extra))


def read(files: Sequence[Path]) -> Catalogue:
    """Return the catalogue that these files make, the first ones first.

    Raises:
        CatalogueError: Any line of any file is wrong; all are told.
    """
    reading = _Reading()
    for file in files:
        _read_file(file, reading)
    if reading.mistakes:
        raise CatalogueError(reading.mistakes)
    return Catalogue(
        columns=reading.columns, tables=reading.tables, version=_version(reading), replaced=reading.replaced
    )


def column_line(rule: ColumnRule) -> str:
    """Return the line of a file that says what a rule says."""
    letter = rule.safe_harbor.value if rule.safe_harbor else "-"
    words = (rule.table, rule.column, rule.classification, letter, rule.gdpr, rule.rule, rule.note)
    return "\t".join(words).rstrip("\t")


def table_line(rule: TableRule) -> str:
    """Return the line of a file that says what a rule about a table says."""
    return "\t".join((rule.table, rule.action, rule.where, rule.why)).rstrip("\t")


def _version(reading: _Reading) -> str:
    digest = hashlib.sha256()
    for table in sorted(reading.columns):
        for column in sorted(reading.columns[table]):
            digest.update(column_line(reading.columns[table][column]).encode() + b"\n")
    for table in sorted(reading.tables):
        digest.update(table_line(reading.tables[table]).encode() + b"\n")
    return digest.hexdigest()


def _read_file(file: Path, reading: _Reading) -> None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        reading.mistakes.append(f"{file.name}: cannot be read: {problem}")
        return
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    header = tuple(numbered[0][1].split("\t")) if numbered else ()
    known = [COLUMN_HEADER, TABLE_HEADER]
    if header not in {*known, *((*names, OVERRIDE) for names in known)}:
        expected = " or ".join(repr("\t".join(names)) for names in known)
        reading.mistakes.append(f"{file.name}: the first line must be {expected}, optionally with {OVERRIDE!r}")
        return
    add = _add_column if header[: len(COLUMN_HEADER)] == COLUMN_HEADER else _add_table
    for number, line in numbered[1:]:
        words = line.split("\t")
        origin = f"{file.name}:{number}"
        if len(words) > len(header):
            reading.mistakes.append(f"{origin}: {len(words)} fields, but the header has {len(header)}")
            continue
        words += [""] * (len(header) - len(words))
        add(dict(zip(header, (word.strip() for word in words), strict=True)), origin, reading)


def _add_column(words: dict[str, str], origin: str, reading: _Reading) -> None:
    mistakes: list[str] = []
    classification = _word(Classification, words["classification"], "classification", mistakes)
    letter = words["safe_harbor"]
    safe_harbor = None if letter in {"", "-"} else _word(SafeHarbor, letter, "Safe Harbor letter", mistakes)
    gdpr = _word(Gdpr, words["gdpr"] or "none", "GDPR class", mistakes)
    if not words["table"] or not words["column"]:
        mistakes.append("table and column must be named")
    if classification and gdpr:
        rule = ColumnRule(
            table=words["table"],
            column=words["column"],
            classification=classification,
            safe_harbor=safe_harbor,
            gdpr=gdpr,
            rule=words["rule"],
            note=words["note"],
            origin=origin,
            override=words.get(OVERRIDE, ""),
        )
        mistakes += judge(rule) if not mistakes else []
        known = reading.columns.setdefault(rule.table, {}).get(rule.column)
        mistakes += _twice(rule.name, known.origin if known else None, rule.override)
        if known and rule.override:  # the first one is the shipped one, however often it is overridden
            reading.replaced.setdefault(rule.table, {}).setdefault(rule.column, known)
        reading.columns[rule.table][rule.column] = rule
    reading.mistakes += [f"{origin}: {mistake}" for mistake in mistakes]


def judge(rule: ColumnRule) -> list[str]:
    """Return what is wrong with a line that needs no schema to be seen, as sentences without a full stop."""
    try:
        parsed = parse(rule.rule)
    except RuleError as problem:
        return [str(problem)]
    mistakes = []
    if rule.classification in PERSONAL and (rule.safe_harbor is None or rule.gdpr is Gdpr.NONE):
        mistakes.append(f"{rule.name} is a {rule.classification}, so it names a Safe Harbor letter and a GDPR class")
    if parsed.effect is not Effect.KEEPS:
        return mistakes
    if rule.classification in {Classification.DIRECT, Classification.CREDENTIAL}:
        mistakes.append(f"{rule.name} is a {rule.classification}, and {parsed.word} lets values stay")
    if rule.classification is Classification.FREE_TEXT and parsed.word != "shipped":
        mistakes.append(f"{rule.name} is free text, and {parsed.word} lets values stay; only what is shipped may")
    if rule.classification is Classification.QUASI and not rule.note:
        mistakes.append(f"{rule.name} is a quasi-identifier that stays, so a note says why it may")
    if rule.gdpr is Gdpr.SPECIAL and not rule.note:
        mistakes.append(f"{rule.name} is of a special category and stays, so a note says why it may")
    return mistakes


def _add_table(words: dict[str, str], origin: str, reading: _Reading) -> None:
    mistakes: list[str] = []
    action = _word(Action, words["action"], "action", mistakes)
    if not words["table"]:
        mistakes.append("the table must be named")
    if not words["why"]:
        mistakes.append("the reason must be given")
    if action and (action is Action.WHERE) != bool(words["where"]):
        mistakes.append("a condition goes with the action `where`, and only with it")
    if action:
        rule = TableRule(
            table=words["table"],
            action=action,
            where=words["where"],
            why=words["why"],
            origin=origin,
            override=words.get(OVERRIDE, ""),
        )
        known = reading.tables.get(rule.table)
        mistakes += _twice(rule.table, known.origin if known else None, rule.override)
        reading.tables[rule.table] = rule
    reading.mistakes += [f"{origin}: {mistake}" for mistake in mistakes]


def _twice(name: str, known: str | None, override: str) -> list[str]:
    if known and not override:
        return [
            f"{name} is classified in {known} already; a site's line that is meant to differ says why in {OVERRIDE}"
        ]
    if override and not known:
        return [f"{name} is classified nowhere else, so there is nothing that {OVERRIDE} could be about"]
    return []


def _word(kind: type[_Word], text: str, what: str, mistakes: list[str]) -> _Word | None:
    try:
        return kind(text)
    except ValueError:
        mistakes.append(f"{text!r} is no {what}; one of {', '.join(kind)}")
        return None
