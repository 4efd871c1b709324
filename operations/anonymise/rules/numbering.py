"""Numbers of documents: what Odoo makes of them stays readable, what anybody typed into them does not stay."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.grammar import parse
from operations.anonymise.rules.scope import filled, key, literal, relation
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell

_INTEGER_DIGITS = 9
"""Digits that Odoo reads as the counter of a number (`sequence.mixin`), and that an integer holds."""

_WITHOUT_NUMBER = (
    *("/", "New", "Draft", "Nouveau", "Brouillon", "Neu", "Entwurf", "Nuevo", "Borrador", "Nieuw", "Concept"),
    "False",
)
"""What Odoo writes before a document has a number, in the languages of the lists."""

_ODOO = ("Product", "Quantity", "Updated", "Confirmed", "Statement", "Order", "tx")
"""Words that Odoo itself writes into numbers and references; none of them is anybody's name."""

_SETTINGS = {
    "ir_sequence": ("prefix", "suffix"),
    "account_journal": ("code",),
    "stock_warehouse": ("code",),
    "stock_picking_type": ("sequence_code",),
}
"""Where beginnings of numbers are set up; these columns stay, so what they hold says nothing new."""

NUMBERING = r"""
CREATE OR REPLACE FUNCTION pg_temp.careops_round(secret bytea, start text, size int, round int, half numeric)
RETURNS numeric LANGUAGE sql STRICT AS $body$
    SELECT ('0x' || encode(substr(sha256(
        secret || textsend(size || ':' || round || ':' || trim_scale(half) || ':' || start)), 1, 16), 'hex'))::numeric
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_exchange(number numeric, base int, size int, start text, secret bytea)
RETURNS numeric LANGUAGE plpgsql STRICT AS $body$
DECLARE
    low numeric := base::numeric ^ (size / 2); high numeric := base::numeric ^ (size - size / 2);
    l numeric := div(number, low); r numeric := number % low;
BEGIN
    -- A Feistel network over the two halves: a permutation of all numbers of this size, one per beginning, so
    -- different numbers stay different without a list of those that are taken.
    FOR round IN 1..4 LOOP
        l := (l + pg_temp.careops_round(secret, start, size, round, r)) % high;
        r := (r + pg_temp.careops_round(secret, start, size, -round, l)) % low;
    END LOOP;
    RETURN (l * low + r)::numeric(200, 0);
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_letters(word text, secret bytea) RETURNS text LANGUAGE plpgsql STRICT
AS $body$
DECLARE
    folded text := upper(word COLLATE "C"); number numeric := 0; made text := ''; place int; sign text;
BEGIN
    IF word !~ '^[A-Za-z]' THEN  -- of another alphabet: as many letters as make two words one never
        RETURN translate(substr(encode(sha256(secret || textsend(word)), 'hex'), 1, 12), '0123456789', 'ghijklmnop');
    END IF;
    IF length(word) > 64 THEN
        RETURN translate(encode(sha256(secret || textsend(word)), 'hex'), '0123456789', 'ghijklmnop');
    END IF;
    FOR place IN 1..length(word) LOOP
        number := number * 26 + ascii(substr(folded, place, 1)) - 65;
    END LOOP;
    number := pg_temp.careops_exchange(number, 26, length(word), 'letters', secret);
    FOR place IN REVERSE length(word)..1 LOOP
        sign := chr(65 + (number % 26)::int);
        made := CASE WHEN substr(word, place, 1) = substr(folded, place, 1) THEN sign ELSE lower(sign) END || made;
        number := div(number, 26);
    END LOOP;
    RETURN made;
END
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_words(value text, known text[], secret bytea) RETURNS text
LANGUAGE sql STRICT AS $body$
    SELECT coalesce(string_agg(
        CASE WHEN found.part[1] ~ '^[\u0001-@\[-`{-\u007f]' OR found.part[1] = ANY (known) THEN found.part[1]
             ELSE pg_temp.careops_letters(found.part[1], secret) END, '' ORDER BY found.place), '')
    FROM regexp_matches(value COLLATE "C", '([A-Za-z]+|[\u0001-@\[-`{-\u007f]+|[^\u0001-\u007f]+)', 'g')
        WITH ORDINALITY found(part, place)
$body$;
CREATE OR REPLACE FUNCTION pg_temp.careops_number(value text, dated date, known text[], secret bytea) RETURNS text
LANGUAGE plpgsql AS $body$
DECLARE
    part text[]; form text[]; size int; number numeric;
BEGIN
    IF value IS NULL OR value = '' OR value = ANY ($written$) THEN
        RETURN value;
    ELSIF strpos(value, ', ') > 0 THEN
        RETURN (SELECT string_agg(pg_temp.careops_number(item, NULL, known, secret), ', ' ORDER BY place)
                FROM string_to_table(value COLLATE "C", ', ') WITH ORDINALITY items(item, place));
    END IF;
    part := regexp_match(value COLLATE "C", '^([A-Za-z]+[0-9]+[/_. -])(.*[0-9].*)$');
    IF part IS NOT NULL AND left(part[1], -1) = ANY (known) THEN  -- the digit of BNK1 is the journal's
        RETURN part[1] || pg_temp.careops_number(part[2], dated, known, secret);
    END IF;
    part := regexp_match(value COLLATE "C", '^(.*?)([0-9]{1,64})([^0-9]*)$');
    IF part IS NULL THEN
        RETURN pg_temp.careops_words(value, known, secret);
    END IF;
    size := length(part[2]);
    number := part[2]::numeric;
    IF dated IS NOT NULL THEN
        form := regexp_match(part[1], '^([^0-9]*)((?:19|20|21)[0-9]{2})(?:([-/_.])(0[1-9]|1[0-2]))?([-/_.])$');
    END IF;
    IF form IS NOT NULL THEN
        -- The number takes the year (and the month) of the made date, or it would tell how far that is from the real
        -- one; the real year goes into the number, so that two that meet in one year stay different.
        number := (right(form[2], 2)::numeric * CASE WHEN form[4] IS NULL THEN 1 ELSE 100 END
                   + coalesce(form[4], '0')::numeric) * 10::numeric ^ size + number;
        size := size + CASE WHEN form[4] IS NULL THEN 2 ELSE 4 END;
        RETURN pg_temp.careops_words(form[1], known, secret) || to_char(dated, 'YYYY')
            || coalesce(form[3] || to_char(dated, 'MM'), '') || form[5]
            || lpad(pg_temp.careops_exchange(number, 10, size, left(form[2], 2) || form[1], secret)::text, size, '0')
            || pg_temp.careops_words(part[3], known, secret);
    END IF;
    RETURN CASE WHEN part[1] ~ '[0-9]' THEN pg_temp.careops_number(part[1], NULL, known, secret)
                ELSE pg_temp.careops_words(part[1], known, secret) END
        || lpad(pg_temp.careops_exchange(number, 10, size, part[1], secret)::text, size, '0')
        || pg_temp.careops_words(part[3], known, secret);
END
$body$;
""".replace("$written$", "ARRAY[" + ",".join(map(literal, _WITHOUT_NUMBER)) + "]")
"""Statements for the reading session."""


def document_number(rule: Rule, cell: Cell, at: At) -> str:
    """Return the number with its digits permuted among those of the same length, and unknown words exchanged.

    Words stay that are set up as the beginning of numbers (sequences, journals, warehouses) and those that Odoo writes;
    any other is somebody's and becomes other letters, the same wherever it stands, so that numbers of one beginning
    still have one. With a column that holds a date, the year and month of a number are those of the made date.

    Raises:
        CompileError: The column named is no date.
    """
    dated = "NULL::date"
    if rule.names:
        day = at.cell(rule.names[0])
        if day.kind not in {Kind.DATE, Kind.TIMESTAMP}:
            raise CompileError(f"{cell.table}.{cell.column}: {day.column} is no date that a number could be of")
        dated = f"({at.compile(at, at.rule(day.column), day)})::date"
    # One name for it: a number takes some time, and its counter and its beginning are columns of the same row.
    made = at.scope.let(f"pg_temp.careops_number({cell.value},{dated},{_known(at)},{key('number')})")
    return filled(cell.value, made)


def _known(at: At) -> str:
    """Return SQL of the words that stay, read once per statement."""
    texts = []
    for name, columns in _SETTINGS.items():
        table = at.run.schema.tables.get(name)
        texts += [
            f"SELECT {column}::text AS held FROM {relation(name)}"
            for column in columns
            if table is not None and table.column(column) is not None
        ]
    written = f"ARRAY[{','.join(map(literal, _ODOO))}]::text[]"
    if not texts:
        return written
    # R and P stand before a journal's code in the numbers of refunds and payments.
    return (
        f"(SELECT {written}||coalesce(array_agg(DISTINCT b.sign||w.part[1]),'{{}}') "
        f"FROM ({' UNION ALL '.join(texts)}) s "
        "CROSS JOIN LATERAL regexp_matches(regexp_replace(s.held COLLATE \"C\",'%\\([a-z_0-9]+\\)s','','g'),"
        "'([A-Za-z]+[0-9]*)','g') w(part) CROSS JOIN (VALUES (''),('R'),('P')) b(sign))"
    )


def prefix_of(rule: Rule, cell: Cell, at: At) -> str:
    """Return what stands before the counter of the masked document number of a column of this row."""
    masked = _masked(rule, cell, at)
    return (
        f"CASE WHEN {cell.raw} IS NOT NULL THEN "
        f"coalesce(regexp_replace({masked},'[0-9]{{0,{_INTEGER_DIGITS}}}[^0-9]*$',''),'') END"
    )


def counter_of(rule: Rule, cell: Cell, at: At) -> str:
    """Return the number that ends the masked document number of a column of this row; 0 where there is none."""
    masked = _masked(rule, cell, at)
    counter = f"substring({masked} from '([0-9]{{1,{_INTEGER_DIGITS}}})[^0-9]*$')"
    return f"CASE WHEN {cell.raw} IS NOT NULL THEN coalesce({counter}::{cell.type},0) END"


def _masked(rule: Rule, cell: Cell, at: At) -> str:
    column = rule.names[0]
    text = at.rule(column)
    if parse(text).word in {"counter-of", "prefix-of"}:
        raise CompileError(f"{cell.table}.{cell.column} counts {column}, which is a counter itself")
    return f"({at.compile(at, text, at.cell(column))})"
