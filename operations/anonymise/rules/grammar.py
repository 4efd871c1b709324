"""The grammar of masking rules: one text per column, parsed the same by the catalogue's check and the compiler.

    rule      = word [ "(" argument { "," argument } ")" ]
    argument  = rule | name | number | quoted | reference
    reference = table "." column " via " foreign-key-column
    quoted    = "'" { any character, "''" for a quote } "'"

For every word: NULL stays NULL, so a column that may be empty stays as empty as it was. The vocabulary, with the types
each word fits and what it promises, is :data:`operations.anonymise.rules.words.WORDS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from operations.anonymise.rules.words import FLAGS, NAMED, RECORD, WORDS, Effect, Kind, ParameterKind, RuleSpec

__all__ = ["Argument", "Effect", "Kind", "Name", "Quoted", "Reference", "Rule", "RuleError", "parse"]

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>'(?:[^']|'')*')|(?P<word>[A-Za-z0-9_][A-Za-z0-9_.-]*)|(?P<sign>[(),]))", re.ASCII
)
_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_REFERENCE = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", re.ASCII)
_BARE = {
    ParameterKind.COLUMN: _NAME,
    ParameterKind.NAMED: _NAME,
    ParameterKind.KEY: re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII),
    ParameterKind.PERSON: re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){0,2}", re.ASCII),
    ParameterKind.NUMBER: re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII),
}


class RuleError(ValueError):
    """A rule that does not follow the grammar; the message is one sentence that says what is expected."""


@dataclass(frozen=True, kw_only=True)
class Name:
    """A bare word: a column of the same row, a key of a document, a choice or a number."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A literal, without its quotes."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A column of the row that a foreign key of this row points to.

    Attributes:
        table: The table pointed to.
        column: Its column.
        via: The foreign key column of the row at hand.
    """

    table: str
    column: str
    via: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A parsed rule.

    Attributes:
        word: A key of :data:`~operations.anonymise.rules.words.WORDS`.
        arguments: In the order written.
    """

    word: str
    arguments: tuple[Argument, ...] = ()

    @property
    def spec(self) -> RuleSpec:
        """Return what the word fits and promises."""
        return WORDS[self.word]

    @property
    def inner(self) -> Rule | None:
        """Return the rule among the arguments, of words that apply another rule to parts of the value."""
        return next((argument for argument in self.arguments if isinstance(argument, Rule)), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the bare and quoted arguments."""
        return tuple(argument.text for argument in self.arguments if isinstance(argument, (Name, Quoted)))

    @property
    def reference(self) -> Reference | None:
        """Return the referenced column, of ``same-as`` and ``properties``."""
        return next((argument for argument in self.arguments if isinstance(argument, Reference)), None)

    @property
    def row_columns(self) -> tuple[str, ...]:
        """Return the columns of the same row that the rule reads besides its own."""
        own = [
            argument.text.partition(".")[0]
            for parameter, argument in _paired(self)
            if isinstance(argument, Name)
            and (
                parameter is ParameterKind.COLUMN
                or (parameter is ParameterKind.PERSON and argument.text not in FLAGS | {RECORD})
                or (parameter is ParameterKind.NAMED and argument.text not in NAMED)
            )
        ]
        reference = [self.reference.via] if self.reference else []
        nested = list(self.inner.row_columns) if self.inner else []
        return tuple(dict.fromkeys([*own, *reference, *nested]))

    @property
    def effect(self) -> Effect:
        """Return what becomes of the value; a rule that masks a part only is as weak as its weaker half."""
        if self.word == "json-text" and self.inner:
            return self.inner.effect
        return self.spec.effect

    def __str__(self) -> str:
        """Return the rule as it is written in the catalogue."""
        return f"{self.word}({','.join(map(_written, self.arguments))})" if self.arguments else self.word


Argument: TypeAlias = Rule | Name | Quoted | Reference


class _Sign(StrEnum):
    OPEN = "("
    CLOSE = ")"
    COMMA = ","


@lru_cache(maxsize=4096)
def parse(text: str) -> Rule:
    """Return the rule that a text of the catalogue stands for.

    Raises:
        RuleError: The text does not follow the grammar, or the word does not take these arguments.
    """
    tokens = _tokens(text)
    rule, rest = _rule(tokens, text)
    if rest:
        raise RuleError(f"rule {text!r}: unexpected {rest[0]!r} after the rule's end")
    return rule


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if not found:
            raise RuleError(f"rule {text!r}: cannot read {text[position:].strip()!r}")
        tokens.append(found.group(found.lastgroup or 0))
        position = found.end()
    return tokens


def _rule(tokens: list[str], text: str) -> tuple[Rule, list[str]]:
    if not tokens:
        raise RuleError(f"rule {text!r}: expected a word")
    word, rest = tokens[0], tokens[1:]
    if word not in WORDS:
        raise RuleError(f"rule {text!r}: no word {word!r}; the words are {', '.join(sorted(WORDS))}")
    arguments: list[Argument] = []
    if rest and rest[0] == _Sign.OPEN:
        rest = rest[1:]
        while True:
            argument, rest = _argument(tokens=rest, word=word, position=len(arguments), text=text)
            arguments.append(argument)
            if not rest or rest[0] not in {_Sign.COMMA, _Sign.CLOSE}:
                raise RuleError(f"rule {text!r}: expected ',' or ')' after an argument of {word}")
            sign, rest = rest[0], rest[1:]
            if sign == _Sign.CLOSE:
                break
    rule = Rule(word=word, arguments=tuple(arguments))
    _check_count(rule, text)
    return rule, rest


def _argument(*, tokens: list[str], word: str, position: int, text: str) -> tuple[Argument, list[str]]:
    expected = WORDS[word].parameter(position)
    if expected is None or not tokens:
        raise RuleError(f"rule {text!r}: {WORDS[word].usage()}")
    if expected is ParameterKind.RULE:
        return _rule(tokens, text)
    token, rest = tokens[0], tokens[1:]
    if expected is ParameterKind.REFERENCE and _REFERENCE.fullmatch(token) and rest[:1] == ["via"] and len(rest) > 1:
        table, column = token.split(".")
        return Reference(table=table, column=column, via=rest[1]), rest[2:]
    if token.startswith("'") and expected in {ParameterKind.LITERAL, ParameterKind.KEY}:
        return Quoted(text=token[1:-1].replace("''", "'")), rest
    if expected in _BARE and _BARE[expected].fullmatch(token):
        return Name(text=token), rest
    raise RuleError(f"rule {text!r}: {token!r} is not {expected.value}; {WORDS[word].usage()}")


def _check_count(rule: Rule, text: str) -> None:
    if len(rule.arguments) < rule.spec.required:
        raise RuleError(f"rule {text!r}: {rule.spec.usage()}")


def _paired(rule: Rule) -> list[tuple[ParameterKind | None, Argument]]:
    return [(rule.spec.parameter(position), argument) for position, argument in enumerate(rule.arguments)]


def _written(argument: Argument) -> str:
    match argument:
        case Quoted(text=text):
            return "'" + text.replace("'", "''") + "'"
        case Reference(table=table, column=column, via=via):
            return f"{table}.{column} via {via}"
        case Name(text=text):
            return text
        case _:
            return str(argument)
