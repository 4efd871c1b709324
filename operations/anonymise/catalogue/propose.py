"""Propose lines for columns that nobody classified: by type, name and what Odoo knows, and always the safest.

A proposal is for a person to review. What nothing is known about is treated as personal: text becomes filler, numbers
are jittered, dates shifted, bytes dropped.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from operations.anonymise.catalogue.constraints import unique_rule
from operations.anonymise.model import Action, Classification, ColumnRule, Gdpr, SafeHarbor, TableRule
from operations.anonymise.rules.dates import record_columns
from operations.anonymise.rules.grammar import parse
from operations.anonymise.rules.words import LONGEST_MADE, RECORD, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operations.anonymise.catalogue.check import Comparison
    from operations.anonymise.schema import Column, OrmField, Schema, Table

_C, _S, _G = Classification, SafeHarbor, Gdpr

_PEOPLE = ("employee_id", "partner_id", "customer_id", "contact_id", "patient_id", "res_partner_id", "user_id")
"""Columns whose row a date is about, the surest first."""

_BY_NAME: Sequence[tuple[str, Classification, SafeHarbor | None, Gdpr, str]] = (
    (
        r"passw|secret|token|api_?key|private_?key|(^|_)pin($|_)|(^|_)otp|credential|_sid$",
        _C.CREDENTIAL,
        None,
        _G.NONE,
        "token",
    ),
    (r"e?mail(_|$)|(^|_)cc$|(^|_)reply_to$", _C.DIRECT, _S.EMAILS, _G.PERSONAL, "email"),
    (r"(^|_)fax", _C.DIRECT, _S.FAXES, _G.PERSONAL, "phone"),
    (r"phone|mobile|(^|_)tel($|_)|whatsapp|(^|_)sms_number", _C.DIRECT, _S.PHONES, _G.PERSONAL, "phone"),
    (r"(^|_)login$", _C.DIRECT, _S.EMAILS, _G.PERSONAL, "login"),
    (r"street|address", _C.DIRECT, _S.PLACES, _G.PERSONAL, "street"),
    (r"(^|_)(city|town|village)($|_)|place_of_birth", _C.QUASI, _S.PLACES, _G.PERSONAL, "city"),
    (r"(^|_)(zip|postcode|postal)", _C.QUASI, _S.PLACES, _G.PERSONAL, "zip3"),
    (r"(^|_)iban|acc(ount)?_(number|no)|(^|_)bban", _C.DIRECT, _S.ACCOUNTS, _G.PERSONAL, "iban"),
    (r"(^|_)vat($|_)|tax_id|fiscal_code|company_registry|siret", _C.DIRECT, _S.OTHER, _G.PERSONAL, "vat"),
    (r"ssn|social_sec|nhs|(^|_)sin($|_)|niss", _C.DIRECT, _S.SOCIAL_SECURITY, _G.NATIONAL_ID, "ssn"),
    (r"passport|national_id|identification|permit|visa", _C.DIRECT, _S.LICENSES, _G.NATIONAL_ID, "identifier(ID)"),
    (r"(^|_)mrn|medical_record|patient_(no|number|code)", _C.DIRECT, _S.MEDICAL_RECORDS, _G.SPECIAL, "identifier(MRN)"),
    (r"insurance|policy_(no|number)|beneficiary", _C.DIRECT, _S.HEALTH_PLANS, _G.SPECIAL, "identifier(PLAN)"),
    (r"license_plate|(^|_)vin($|_)", _C.DIRECT, _S.VEHICLES, _G.PERSONAL, "identifier(V)"),
    (r"serial|device|imei|(^|_)mac($|_)", _C.DIRECT, _S.DEVICES, _G.PERSONAL, "identifier(D)"),
    (r"barcode|badge", _C.DIRECT, _S.OTHER, _G.PERSONAL, "identifier"),
    (r"url|website|(^|_)link|href", _C.DIRECT, _S.URLS, _G.PERSONAL, "url"),
    (r"(^|_)ip($|_)|ip_address", _C.DIRECT, _S.IP_ADDRESSES, _G.PERSONAL, "ip"),
    (r"(^|_)uuid|guid", _C.DIRECT, _S.OTHER, _G.PERSONAL, "uuid"),
    (r"fingerprint|biometric|face_|voice", _C.DIRECT, _S.BIOMETRICS, _G.SPECIAL, "null"),
    (r"(file|datas?)_?name|fname", _C.FREE_TEXT, _S.OTHER, _G.PERSONAL, "filename"),
    (
        r"diagnos|allerg|blood|symptom|medic|treatment|disab|religio|ethnic|health",
        _C.FREE_TEXT,
        _S.OTHER,
        _G.SPECIAL,
        "filler",
    ),
    (
        r"(partner|contact|person|patient|customer|employee|holder|emergency_contact|first|last|family|spouse|legal)_name$",
        _C.DIRECT,
        _S.NAMES,
        _G.PERSONAL,
        "name(any)",
    ),
)
"""What the name of a text column tells: pattern, class, Safe Harbor letter, GDPR class, rule; the first one counts."""

_BIRTH = re.compile(r"birth(day|date|_date)?|(^|_)dob($|_)")
_TYPES = frozenset({"selection", "many2one", "many2one_reference", "boolean", "reference"})
_COUNTERS = re.compile(
    r"(^|_)(sequence|color|count|priority|parent_left|parent_right|level|limit|size|position)$|^nb_|^number_of_"
)
_PLACES = re.compile(r"(^|_)(lat|latitude|lng|long|longitude|altitude|coordinate)")
_SENSITIVE_FLAG = re.compile(r"deceas|dead|pregnan|smok|disab|hiv|allerg|covid|vaccin|minor|prison")
_ABOUT = re.compile(r"(^|_)(age|children|weight|height|km_home|distance)($|_)")


def proposals(comparison: Comparison, schema: Schema) -> tuple[list[TableRule], list[ColumnRule]]:
    """Return a line for everything that a comparison found unclassified.

    Args:
        comparison: Of the schema with the catalogue.
        schema: The live one.
    """
    tables = [propose_table(schema.tables[name], schema) for name in comparison.unlisted]
    emptied = {table.table for table in tables if table.action is Action.EMPTY}
    columns = []
    for name, column_name in comparison.unclassified:
        table = schema.tables[name]
        column = table.column(column_name)
        if column is not None:
            line = propose(column, table, schema)
            columns.append(replace(line, rule="empty-table") if name in emptied else line)
    return tables, columns


def propose_table(table: Table, schema: Schema) -> TableRule:
    """Return a line about a table: transient ones are emptied with what links to them, others copied."""
    if _transient(table.name, schema):
        return TableRule(table=table.name, action=Action.EMPTY, why="transient: rows live for minutes")
    linked = [key.target for key in table.foreign_keys if key.columns[0] not in {"create_uid", "write_uid"}]
    if "id" not in {column.name for column in table.columns} and any(_transient(name, schema) for name in linked):
        return TableRule(table=table.name, action=Action.EMPTY, why="links rows of a transient table")
    return TableRule(table=table.name, action=Action.COPY, why="to be reviewed")


def _transient(table: str, schema: Schema) -> bool:
    return any(field.transient for field in schema.orm.get(table, {}).values())


def propose(column: Column, table: Table, schema: Schema) -> ColumnRule:
    """Return the safest line for a column by type, name and what Odoo knows about it.

    Args:
        column: To classify.
        table: Its table.
        schema: The live one.
    """
    field = schema.field(table.name, column.name)
    key = table.foreign_key(column.name)
    if column.name in table.primary_key or key is not None:
        return _line(table, column, _KEY, "keep")
    if column.generated:
        return _line(table, column, (_C.DERIVED, None, _G.NONE), "generated")
    match column.kind:
        case Kind.TEXT:
            line = _of_text(column, table, field)
        case Kind.JSON:
            line = _of_json(column, table, field, schema)
        case Kind.DATE | Kind.TIMESTAMP:
            line = _of_date(column, table)
        case Kind.BOOLEAN:
            line = _of_flag(column, table)
        case Kind.INTEGER | Kind.NUMBER:
            line = _of_number(column, table, field)
        case Kind.BYTES:
            line = _line(table, column, (_C.DIRECT, _S.PHOTOGRAPHS, _G.PERSONAL), "null")
        case _:
            line = _line(table, column, _ANY_TEXT, "null", "a type that no rule masks")
    return _fitted(line, column, table)


_What: TypeAlias = tuple[Classification, SafeHarbor | None, Gdpr]
_KEY: _What = (_C.TECHNICAL, None, _G.NONE)
_INTERNAL: _What = (_C.INTERNAL, None, _G.NONE)
_ANY_TEXT: _What = (_C.FREE_TEXT, _S.OTHER, _G.PERSONAL)
_DATE: _What = (_C.QUASI, _S.DATES, _G.PERSONAL)
_ABOUT_SOMEBODY: _What = (_C.QUASI, _S.OTHER, _G.PERSONAL)


def _line(table: Table, column: Column, what: _What, rule: str, note: str = "") -> ColumnRule:
    classification, letter, gdpr = what
    return ColumnRule(
        table=table.name,
        column=column.name,
        classification=classification,
        safe_harbor=letter,
        gdpr=gdpr,
        rule=rule,
        note=note,
    )


_NOTHING = {
    Kind.TEXT: "empty-text",
    Kind.JSON: "constant('{}')",
    Kind.BYTES: r"constant('\x')",
    Kind.BOOLEAN: "constant('false')",
    Kind.OTHER: "constant('{}')",
}
"""What stands for nothing where NULL may not; `other` is an array in Odoo's tables."""


def _fitted(line: ColumnRule, column: Column, table: Table) -> ColumnRule:
    """Return the line with a rule that a NOT NULL, short or unique column can bear."""
    if line.rule == "null" and column.not_null:
        return replace(line, rule=_NOTHING.get(column.kind, "constant('0')"))
    short = column.length is not None and column.length < LONGEST_MADE
    if any(column.name in index.columns for index in table.unique) and not unique_rule(parse(line.rule)):
        if column.kind is Kind.TEXT:
            return replace(line, rule="hash" if short else "identifier")
        if line.rule.startswith("json-text"):
            return replace(line, rule="json-text(identifier)")
        # Nothing that is known keeps other values apart; where NULL may not be, the check tells, and a person decides.
        return line if column.not_null else replace(line, rule="null")
    if short and not parse(line.rule).spec.bounded:
        return replace(line, rule="filler")
    return line


def _of_text(column: Column, table: Table, field: OrmField | None) -> ColumnRule:
    if field and field.ttype in _TYPES:
        return _line(table, column, _KEY, "keep")
    for pattern, classification, letter, gdpr, rule in _BY_NAME:
        if re.search(pattern, column.name):
            return _line(table, column, (classification, letter, gdpr), rule)
    rule = "filler-html" if field and field.ttype == "html" else "filler"
    return _line(table, column, _ANY_TEXT, rule)


def _of_json(column: Column, table: Table, field: OrmField | None, schema: Schema) -> ColumnRule:
    if field and field.company_dependent and field.ttype in _TYPES:
        return _line(table, column, _INTERNAL, "keep", "a choice or a link by company")
    if field and field.ttype == "properties":
        return _line(table, column, _ANY_TEXT, _properties(column, table, schema))
    if field and field.ttype == "properties_definition":
        return _line(table, column, _INTERNAL, DEFINITION, "defaults are dropped")
    if field and (field.translate or field.company_dependent) and field.ttype in {"char", "text", "html"}:
        rule = "json-text(filler-html)" if field.ttype == "html" else "json-text(filler)"
        return _line(table, column, _ANY_TEXT, rule)
    return _line(table, column, _ANY_TEXT, "json-fill")


DEFINITION = "json-keep(name,type,string,selection,tags,comodel,domain,view_in_cards,fold_by_default,suffix,definition)"
"""Members of a properties definition that describe it; a default may hold a value about somebody."""


def _properties(column: Column, table: Table, schema: Schema) -> str:
    """Return the rule of a properties field: Odoo keeps its definition in a row that a link of this row points to."""
    stem = column.name.removesuffix("_properties")
    for key in table.foreign_keys:
        fields: Mapping[str, OrmField] = schema.orm.get(key.target, {})
        found = [field.name for field in fields.values() if field.ttype == "properties_definition"]
        same = [name for name in found if name.startswith(stem)]
        if same and len(key.columns) == 1:
            return f"properties({key.target}.{same[0]} via {key.columns[0]})"
    return "json-fill"


def _of_date(column: Column, table: Table) -> ColumnRule:
    if _BIRTH.search(column.name):
        return _line(table, column, _DATE, "birthday")
    about = next((name for name in _PEOPLE if table.foreign_key(name)), None)
    about = about or (RECORD if record_columns(table) else None)
    rule = f"shift-date({about})" if about else "shift-date"
    return _line(table, column, _DATE, rule)


def _of_flag(column: Column, table: Table) -> ColumnRule:
    if _SENSITIVE_FLAG.search(column.name):
        return _line(table, column, (_C.QUASI, _S.OTHER, _G.SPECIAL), "null")
    return _line(table, column, _KEY, "keep")


def _of_number(column: Column, table: Table, field: OrmField | None) -> ColumnRule:
    if _PLACES.search(column.name):
        return _line(table, column, (_C.QUASI, _S.PLACES, _G.PERSONAL), "null")
    if _ABOUT.search(column.name):
        return _line(table, column, _ABOUT_SOMEBODY, "null")
    if _COUNTERS.search(column.name) or (field and field.ttype in _TYPES):
        return _line(table, column, _KEY, "keep")
    if field and field.ttype == "monetary":
        return _line(table, column, (_C.FINANCIAL, None, _G.PERSONAL), "jitter")
    return _line(table, column, _ABOUT_SOMEBODY, "jitter")
