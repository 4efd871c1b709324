"""The words of the masking rules: which types each fits and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What a column holds, as far as a rule needs to know; derived from PostgreSQL's type."""

    TEXT = "text"
    JSON = "json"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BYTES = "bytes"
    OTHER = "other"


class Effect(StrEnum):
    """What becomes of the value; the catalogue's check asks for it by class."""

    KEEPS = "keeps"
    """The value, or a part that can be it, stays."""

    BLURS = "blurs"
    """A less exact value of the same thing: a shifted date, three digits of a ZIP code, a jittered amount."""

    REPLACES = "replaces"
    """A made value that says nothing about the real one but, when deterministic, whether two were equal."""

    REMOVES = "removes"
    """Nothing of the value is left."""


class ParameterKind(Enum):
    """What an argument of a word is; the value reads as the end of "… is not"."""

    COLUMN = "a column of the same row"
    NAMED = "person, company, any or a boolean column of the same row"
    LITERAL = "a quoted text"
    KEY = "a word or a quoted text"
    NUMBER = "a number"
    RULE = "a rule"
    REFERENCE = "'table.column via foreign_key'"
    PERSON = "id, record, a foreign key column of the same row, foreign_key.foreign_key, or the word stay or hours"


LONGEST_MADE = 64
"""Characters that a made value of one real value has at most, but for filler of HTML and XML."""

NAMED = frozenset({"person", "company", "any"})
"""Whose name is made up, where no column says."""


FLAGS = frozenset({"stay", "hours"})
RECORD = "record"
"""Words among the persons of a shift that are no columns."""


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """What one word of the language is.

    Attributes:
        word: The word.
        fits: Kinds of columns it can be the rule of.
        effect: What becomes of the value.
        unique: Different values stay different by construction, so it may stand in a unique index.
        deterministic: Equal values get equal fakes in every table of a run.
        may_empty: Gives NULL for a value, so it does not fit NOT NULL.
        bounded: Never longer than the value, so it fits a text of limited length.
        longest: Characters that what it makes of one value has at most, when it is not bounded.
        parameters: What its arguments are, in order.
        required: How many arguments it needs.
        repeats: The last parameter may be repeated.
        meaning: One sentence for the person who reviews a catalogue.
    """

    word: str
    fits: frozenset[Kind]
    effect: Effect
    meaning: str
    unique: bool = False
    deterministic: bool = True
    may_empty: bool = False
    bounded: bool = False
    longest: int = LONGEST_MADE
    parameters: tuple[ParameterKind, ...] = ()
    required: int = 0
    repeats: bool = False

    def parameter(self, position: int) -> ParameterKind | None:
        """Return what the argument at a position is, or None when the word takes fewer."""
        if position < len(self.parameters):
            return self.parameters[position]
        return self.parameters[-1] if self.repeats and self.parameters else None

    def usage(self) -> str:
        """Return how the word is written."""
        if not self.parameters:
            return f"{self.word} takes no argument"
        end = ", …" if self.repeats else ""
        count = f"at least {self.required}" if self.required else "optionally"
        return f"{self.word} takes {count}: {', '.join(kind.value for kind in self.parameters)}{end}"


_TEXT = frozenset({Kind.TEXT})
_JSON = frozenset({Kind.JSON})
_DAY = frozenset({Kind.DATE, Kind.TIMESTAMP})
_COUNT = frozenset({Kind.INTEGER, Kind.NUMBER})
_ANY = frozenset(Kind)
_K, _B, _R, _X = Effect.KEEPS, Effect.BLURS, Effect.REPLACES, Effect.REMOVES
_P = ParameterKind


def _word(word: str, fits: frozenset[Kind], effect: Effect, meaning: str, **more: object) -> RuleSpec:
    return RuleSpec(word=word, fits=fits, effect=effect, meaning=meaning, **more)  # ty: ignore[invalid-argument-type]  fields by name


_ALL = (
    # -- for every type --
    _word(
        "keep",
        _ANY,
        _K,
        "The value as it is.",
        unique=True,
        bounded=True,
    ),
    _word(
        "null",
        _ANY,
        _X,
        "NULL.",
        may_empty=True,
        bounded=True,
    ),
    _word(
        "generated",
        _ANY,
        _K,
        "PostgreSQL computes it; it is never copied.",
        unique=True,
        bounded=True,
    ),
    _word(
        *("recompute", _ANY, _X, "NULL now; Odoo computes the stored field again when training adopts the database."),
        may_empty=True,
        bounded=True,
    ),
    _word(
        *("constant", _ANY, _X, "Always this value, cast to the column's type."),
        parameters=(_P.LITERAL,),
        required=1,
        bounded=True,
    ),
    _word(
        *("choice", _TEXT, _R, "One of these values, chosen by the keyed hash of the real one."),
        parameters=(_P.KEY,),
        required=2,
        repeats=True,
    ),
    _word(
        *("same-as", _ANY, _R, "The masked value of that column of the row pointed to; NULL without such a row."),
        may_empty=True,
        parameters=(_P.REFERENCE,),
        required=1,
    ),
    _word(
        "shipped",
        _ANY,
        _K,
        "The value as it is in rows that an installed module made (ir_model_data, not __export__ or __import__) and "
        "that the superuser (write_uid 1) wrote last; else by the rule.",
        parameters=(_P.RULE,),
        required=1,
    ),
    _word(
        *("shared", _ANY, _K, "The value where at least as many people share it as the settings ask for; else NULL."),
        may_empty=True,
        bounded=True,
        parameters=(_P.COLUMN,),
        required=1,
    ),
    _word("empty-table", _ANY, _X, "The table is emptied, so no value is left to mask.", unique=True, bounded=True),
    # -- names and ways to reach a person --
    _word(
        "name",
        _TEXT,
        _R,
        "A made name: of a person, a company, either by how res_partner knows it (any), or by a boolean column of the "
        "row that is true for a company.",
        parameters=(_P.NAMED,),
        required=1,
    ),
    _word(
        "email",
        _TEXT,
        _R,
        "Made addresses at a reserved domain, case and spaces ignored; each one of a list or header.",
        unique=True,
    ),
    _word("login", _TEXT, _R, "The made address of an e-mail, or a made word.", unique=True),
    _word(
        "phone",
        _TEXT,
        _R,
        "A made number of the same format in a range that nobody is assigned.",
        bounded=True,
    ),
    _word("street", _TEXT, _R, "A made street and number."),
    _word("city", _TEXT, _R, "A made city."),
    _word(
        "zip3",
        _TEXT,
        _B,
        "Three digits of a US ZIP code with more than 20,000 people, else 000 (or the like).",
        bounded=True,
    ),
    _word("url", _TEXT, _R, "A made address at a reserved domain.", unique=True),
    _word("ip", _TEXT, _R, "A made address of a range for documentation.", longest=39),
    # -- numbers of a person or an organisation --
    _word("iban", _TEXT, _R, "A made IBAN with valid check digits, other account numbers digit by digit.", unique=True),
    _word(
        "account-number",
        _TEXT,
        _R,
        "A made number of the same format, valid where a check digit is known.",
        unique=True,
        bounded=True,
    ),
    _word("vat", _TEXT, _R, "A made tax number of the same country and format with valid check digits."),
    _word(
        "ssn",
        _TEXT,
        _R,
        "A made social security number of the same format, never an assignable one.",
        bounded=True,
    ),
    _word(
        *("identifier", _TEXT, _R, "A made code, after the prefix when there is one."),
        unique=True,
        parameters=(_P.KEY,),
    ),
    _word(
        "document-number",
        _TEXT,
        _R,
        "The number of a document with its digits exchanged one to one with others of the same length; each of a list. "
        "Words that are set up as the beginning of numbers stay, all others become other letters. With a column of the "
        "row that holds a date, year and month are those of the made date.",
        unique=True,
        parameters=(_P.COLUMN,),
    ),
    _word(
        *("counter-of", frozenset({Kind.INTEGER}), _R, "The last run of digits of the masked document number."),
        parameters=(_P.COLUMN,),
        required=1,
    ),
    _word(
        *("prefix-of", _TEXT, _R, "What stands before the last run of digits of the masked document number."),
        parameters=(_P.COLUMN,),
        required=1,
    ),
    _word("token", _TEXT, _R, "A fresh secret that says nothing about the old one.", unique=True, deterministic=False),
    _word("uuid", _TEXT, _R, "A made UUID.", unique=True, longest=36),
    _word(
        "hash",
        _TEXT,
        _R,
        "A keyed hash in hexadecimal digits, as long as the value.",
        unique=True,
        bounded=True,
    ),
    _word("filename", _TEXT, _R, "A made file name with the same extension."),
    # -- free text and documents --
    _word(
        "empty-text",
        _TEXT,
        _X,
        "The empty text.",
        bounded=True,
    ),
    _word(
        "filler",
        _TEXT,
        _R,
        "Neutral text of a like length, lines kept.",
        bounded=True,
    ),
    _word(
        "filler-html",
        _TEXT,
        _R,
        "The same for HTML: tags without attributes kept, text replaced, links and images dropped.",
    ),
    _word(
        "filler-xml",
        _TEXT,
        _R,
        "The same for XML: the text between elements replaced; these are kept, without attributes that people read or "
        "that reach somebody.",
    ),
    _word(
        *("json-text", _JSON, _R, "An object of texts (by language or by company): each by the rule."),
        parameters=(_P.RULE,),
        required=1,
    ),
    _word(
        *("json-fill", _JSON, _R, "A document: each text filler, each number 0, but for members with these keys."),
        parameters=(_P.KEY,),
        repeats=True,
    ),
    _word(
        *("json-keep", _JSON, _K, "A document: members with other keys than these are dropped, at every depth."),
        parameters=(_P.KEY,),
        required=1,
        repeats=True,
    ),
    _word(
        "properties",
        _JSON,
        _R,
        "Values of an Odoo properties field, by the type their definition gives: text filler, dates shifted, numbers "
        "jittered; choices, tags, flags and records kept; what has no definition dropped.",
        parameters=(_P.REFERENCE,),
        required=1,
    ),
    # -- dates and quantities --
    _word(
        "birthday", _DAY, _B, "1 January of the year of birth (or the like), nobody older than 89.", deterministic=True
    ),
    _word(
        "shift-date",
        _DAY,
        _B,
        "The day moves by whole weeks, so weekdays and intervals of days stay: by those of the first person named (a "
        "column that points to one, foreign keys on the way; id is this row; record is whom the row that model and "
        "res_id name is about; the same person in every table), else by the run's, or, with the word stay, not at all. "
        "A time of day is made up, one for all stamps of a row; with the word hours it moves by up to 90 minutes.",
        deterministic=False,
        parameters=(_P.PERSON,),
        repeats=True,
    ),
    _word(
        "shift-with",
        _DAY,
        _B,
        "As long after another column of the row, which shift-date moves, as it was: a start and its end.",
        deterministic=False,
        parameters=(_P.COLUMN,),
        required=1,
    ),
    _word(
        "run-month",
        _DAY,
        _X,
        "The first day of the month that the run is in: for dates that nobody needs, but Odoo does.",
        bounded=True,
    ),
    _word(
        "jitter",
        _COUNT,
        _B,
        "Within some percent (10 unless given) of the value, sign and zero kept; with a column, all amounts of the row "
        "that it points to by one percentage, unrounded, so that sums which agreed still agree.",
        parameters=(_P.NUMBER, _P.COLUMN),
    ),
    # -- files --
    _word(
        "placeholder",
        frozenset({Kind.TEXT, Kind.INTEGER}),
        _R,
        "This fact (store_fname, checksum, file_size, mimetype) about the placeholder of the row's file; unchanged for "
        "a file that the image ships.",
        parameters=(_P.KEY,),
        required=1,
        bounded=True,
    ),
)

WORDS = {spec.word: spec for spec in _ALL}
"""Every word by its name."""
