"""Checks that nothing which opens something in production opens it, or acts, in training."""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from operations.anonymise.model import Classification
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.report import Finding, Looked

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema
    from operations.anonymise.verify.structure import Pair

_BY_NAME = re.compile(
    r"(^|_)(password|passwd|pass|passphrase|secret|token|apikey|api_key|private_key|access_key|client_key|credential|otp)"
    r"(_|$)|webhook_url|^totp_"
)
"""Columns that hold credentials whatever the catalogue says of them: a mistake there must not hide one."""

_BY_PARAMETER = re.compile(r"secret|token|password|passwd|api.?key|private.?key|access.?key|database\.uuid|credential")
"""Keys of `ir_config_parameter` whose value is a secret."""

SHORTEST = 4
"""Shorter texts ("no", "1") are no credential."""


SHORTEST_SECRET = 8
"""Shorter parameters ("True", "90") are settings about secrets."""


def survivors(pair: Pair) -> Looked:
    """Search every credential of the source among everything of the target that can be one.

    The sets of values are compared, not the rows: a password hash that stands at another user opens as much.
    """
    real: set[int] = set()
    for table, column in _places(pair.before, pair.catalogue):
        real |= set(_values(pair.source, table, column))
    parameters = _parameters(pair.source, pair.before)
    secret = {
        hash(value) for key, value in parameters if _BY_PARAMETER.search(key.lower()) and len(value) >= SHORTEST_SECRET
    }
    real |= secret
    findings, searched = [], 0
    for table, column in _places(pair.after, pair.catalogue):
        kept = [value for value in _values(pair.target, table, column) if value in real]
        searched += 1
        if kept:
            findings.append(
                Finding(table=table, column=column, what="a credential of production stays", count=len(kept))
            )
    kept_parameters = sum(hash(value) in real for _, value in _parameters(pair.target, pair.after))
    if kept_parameters:
        what = "a secret parameter of production stays"
        findings.append(Finding(table="ir_config_parameter", column="value", what=what, count=kept_parameters))
    facts = {"credentials of the source": len(real), "columns searched": searched}
    return Looked(findings=findings, facts=facts, required=("credentials of the source", "columns searched"))


def neutralised(pair: Pair) -> Looked:
    """Check that the target sends nothing, fetches nothing and calls nobody, and says what it is."""
    findings, asked = [], 0
    for table, columns, condition, what in _MUST_BE_NONE:
        found = pair.after.tables.get(table)
        if found is None or not all(found.column(column) for column in columns):
            continue
        asked += 1
        row = pair.target.execute(f"SELECT count(*) FROM {relation(table)} t WHERE {condition}".encode()).fetchone()
        if row and row[0]:
            findings.append(Finding(table=table, column=columns[0], what=what, count=row[0]))
    marked = dict(_parameters(pair.target, pair.after)).get("database.is_neutralized", "")
    if marked.lower() not in {"true", "1"}:
        what = "database.is_neutralized does not say so"
        findings.append(Finding(table="ir_config_parameter", column="value", what=what, count=1))
    return Looked(findings=findings, facts={"questions": asked}, required=("questions",))


_SHIPPED_CRON = (
    "EXISTS (SELECT FROM ir_model_data d WHERE d.model = 'ir.cron' AND d.res_id = t.id "
    "AND d.module = 'base' AND d.name = 'autovacuum_job')"
)
_MUST_BE_NONE = (
    ("ir_cron", ("active",), f"t.active AND NOT {_SHIPPED_CRON}", "a scheduled job is on"),
    ("ir_mail_server", ("active",), "t.active AND t.smtp_host IS DISTINCT FROM 'invalid'", "outgoing mail is on"),
    ("fetchmail_server", ("active",), "t.active", "incoming mail is on"),
    ("mail_mail", ("state",), "t.state = 'outgoing'", "a mail waits to be sent"),
    ("sms_sms", ("state",), "t.state = 'outgoing'", "a text message waits to be sent"),
    ("payment_provider", ("state",), "t.state = 'enabled'", "a payment provider is on"),
    ("ir_act_server", ("webhook_url",), "t.webhook_url <> ''", "a web hook would be called"),
    ("auth_oauth_provider", ("enabled",), "t.enabled", "a log-in provider is on"),
    ("res_users_apikeys", ("key",), "true", "an API key is there"),
    ("auth_totp_device", ("key",), "true", "a trusted device is there"),
    ("res_users", ("totp_secret",), "t.totp_secret <> ''", "a second factor is there"),
)
"""Table, columns it needs, condition that no row may meet, and what it means when one does.

Neutralising leaves one cron on (`base.autovacuum_job`) and one mail server that reaches nobody (host `invalid`).
"""


def _places(schema: Schema, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for table in schema.tables.values():
        for column in table.columns:
            line = catalogue.column(table.name, column.name)
            declared = line is not None and line.classification is Classification.CREDENTIAL
            if (declared or _BY_NAME.search(column.name)) and column.kind in {Kind.TEXT, Kind.JSON}:
                yield table.name, column.name


def _values(connection: psycopg.Connection[Any], table: str, column: str) -> Iterator[int]:
    name = f"{quoted(column)}::text"
    query = f"COPY (SELECT {name} FROM {relation(table)} WHERE length({name}) >= {SHORTEST}) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        for row in copy.rows():
            yield hash(row[0])


def _parameters(connection: psycopg.Connection[Any], schema: Schema) -> list[tuple[str, str]]:
    if "ir_config_parameter" not in schema.tables:
        return []
    return connection.execute("SELECT key, value FROM ir_config_parameter WHERE length(value) > 3").fetchall()
