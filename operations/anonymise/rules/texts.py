"""Free text and documents."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.dates import RUN_SHIFT
from operations.anonymise.rules.grammar import Reference
from operations.anonymise.rules.lists import FILLER_BLOCK, FILLER_BLOCKS, FILLER_MOST, FILLER_PERIOD, FILLER_STEP
from operations.anonymise.rules.scope import SETTINGS, Cell, Scope, blank, filled, key, literal
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule

_LATIN = f"(SELECT current_setting('{SETTINGS}.filler')::bytea)"
_READ = 256
_TAGS_TEXT = (
    "p div span br hr b i u s em strong small sub sup mark code pre kbd blockquote q ul ol li dl dt dd h1 h2 h3 h4 h5 "
    "h6 table thead tbody tfoot tr td th caption section article header footer main aside address figure figcaption"
)
_ALLOWED = ",".join(f"'{form}'" for tag in _TAGS_TEXT.split() for form in (tag, f"/{tag}", f"{tag}/"))


def filler(_: Rule, cell: Cell, at: At) -> str:
    """Return neutral Latin of about as many characters as the text has bytes, its empty lines and line breaks kept.

    Sizes are rounded up to `FILLER_STEP`: by its exact size one message that somebody knows would be found among all.

    Which sentence it starts with is chosen by the digest of the text's beginning, so that titles can be told apart. At
    most `FILLER_MOST` characters; the size of a longer text is known without reading it.
    """
    value = cell.value
    start = f"get_byte({at.scope.digest('filler', f'left({value},{_READ})')},0)"
    lines = (
        f"(SELECT string_agg(CASE WHEN {blank('l.line')} THEN '' ELSE "
        f"{_latin('octet_length(l.line)', f'{start}+l.place::int')} END,E'\\n') "
        f"FROM string_to_table({value},E'\\n') WITH ORDINALITY l(line,place))"
    )
    return filled(
        value,
        f"CASE {_oversized(value, '', '')}WHEN strpos({value},E'\\n')>0 THEN {lines} "
        f"ELSE {_latin(f'octet_length({value})', start)} END",
    )


def filler_html(_: Rule, cell: Cell, __: At) -> str:
    """Return the document with neutral Latin in place of its texts, without attributes, links, images or scripts.

    It is cut at each "<": what follows is a tag up to ">" and text. A function in FROM gives its rows in order, so the
    pieces need no sorting. The one paragraph that most messages are takes a short way.
    """
    value = cell.value
    start = f"octet_length({value})"
    word = "lower(split_part(translate(tag,E'\\t\\r\\n','   '),' ',1))"
    # Each OFFSET 0 keeps the planner from writing the expressions below it out wherever a column is used.
    pieces = (
        f"SELECT place,CASE WHEN tag IN ({_ALLOWED}) THEN tag ELSE {word} END AS word,rest FROM ("
        "SELECT place,CASE WHEN place>1 AND close>0 THEN left(piece,close-1) END AS tag,"
        "CASE WHEN place>1 THEN substr(piece,close+1) ELSE piece END AS rest "
        "FROM (SELECT piece,place::int,strpos(piece,'>') AS close "
        f"FROM string_to_table({value},'<') WITH ORDINALITY u(piece,place) OFFSET 0) cut OFFSET 0) found OFFSET 0"
    )
    text = f"CASE WHEN {blank('p.rest')} THEN p.rest ELSE {_latin('octet_length(p.rest)', f'{start}+p.place')} END"
    tags = f"CASE WHEN p.word IN ({_ALLOWED}) THEN '<'||p.word||'>' ELSE '' END"
    short = _latin(f"octet_length({value})-7", start)
    return filled(
        value,
        f"CASE {_oversized(value, '<p>', '</p>')}"
        f"WHEN {value} LIKE '<p>_%</p>' AND split_part({value},'<',4)='' THEN '<p>'||{short}||'</p>' "
        f"ELSE (SELECT string_agg({tags}||{text},'') FROM ({pieces}) p) END",
    )


def _latin(size: str, start: str) -> str:
    """Return SQL of neutral text of a size; it is kept as bytes, where a place costs nothing to find."""
    size = f"(({size}+{FILLER_STEP - 1})& -{FILLER_STEP})"
    piece = f"substr({_LATIN},1+{FILLER_BLOCK}*(({start})%{FILLER_BLOCKS}),{size})"
    return (
        f"CASE WHEN {size}<={FILLER_PERIOD} THEN convert_from({piece},'UTF8') "
        f"ELSE pg_temp.careops_latin({size},{start}) END"
    )


def filler_xml(_: Rule, cell: Cell, __: At) -> str:
    """Return the document with neutral Latin in place of its texts; elements stay, comments go, of attributes some."""
    value = cell.value
    return filled(value, f"pg_temp.careops_xml({value},octet_length({value})%{FILLER_BLOCKS})")


def _oversized(value: str, before: str, after: str) -> str:
    most = f"pg_temp.careops_latin({FILLER_MOST},0)"
    return f"WHEN octet_length({value})>{FILLER_MOST} THEN '{before}'||{most}||'{after}' "


def json_text(rule: Rule, cell: Cell, at: At) -> str:
    """Return the object with each text masked by the rule; its keys (languages, companies) and its nulls stay.

    What is no object is filled as `json-fill` does.
    """
    inner = rule.inner
    document = f"({cell.raw})::jsonb"
    alias = f"e{at.nesting}"
    scope = Scope(alias=alias)
    nested = type(at)(
        run=at.run, scope=scope, table=at.table, row=at.row, compile=at.compile, depth=at.depth, nesting=at.nesting + 1
    )
    value = f"({alias}.value #>> '{{}}')"
    text = Cell(
        value=f'{value} COLLATE "C"', raw=value, type="text", table=cell.table, column=cell.column, kind=Kind.TEXT
    )
    masked = at.compile(nested, str(inner), text)
    each = f"CASE jsonb_typeof({alias}.value) WHEN 'null' THEN {alias}.value ELSE to_jsonb(({masked})::text) END"
    object_only = f"CASE jsonb_typeof({document}) WHEN 'object' THEN {document} ELSE '{{}}' END"
    source = scope.wrapped(f"jsonb_each({object_only}) {alias}")
    return (
        f"CASE jsonb_typeof({document}) WHEN 'object' THEN "
        f"coalesce((SELECT jsonb_object_agg({alias}.key,{each}) FROM {source}),'{{}}') "
        f"ELSE pg_temp.careops_json_fill({document},'{{}}') END::{cell.type}"
    )


def json_fill(rule: Rule, cell: Cell, _: At) -> str:
    """Return the document with filler for texts and 0 for numbers, but for members with the given keys."""
    return f"pg_temp.careops_json_fill(({cell.raw})::jsonb,{_array(rule.names)})::{cell.type}"


def json_keep(rule: Rule, cell: Cell, _: At) -> str:
    """Return the document without the members that have other keys."""
    return f"pg_temp.careops_json_keep(({cell.raw})::jsonb,{_array(rule.names)})::{cell.type}"


def properties(rule: Rule, cell: Cell, at: At) -> str:
    """Return the values of a properties field, each by the type its definition gives."""
    reference = rule.reference
    if not isinstance(reference, Reference):
        raise TypeError(str(rule))
    definition = at.referenced(reference).row(reference.column)
    return (
        f"pg_temp.careops_properties(({cell.raw})::jsonb,({definition})::jsonb,{RUN_SHIFT},{key('jitter')})"
        f"::{cell.type}"
    )


def _array(texts: Sequence[str]) -> str:
    return f"ARRAY[{','.join(map(literal, texts))}]::text[]"
