"""Search what training keeps as text for what looks like a key: its shape tells, whether production knows it or not.

Whoever writes a server action may write a key into it, and no column is called a credential there. Known shapes are
looked for in every column that keeps text, in rows of the product too. In columns of code, also any quoted text that is
as disorderly as only a key is, outside rows that a module made.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from operations.anonymise.rules.scope import literal, quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.collect import shipped
from operations.anonymise.verify.report import Finding, Looked

if TYPE_CHECKING:
    from operations.anonymise.schema import Table
    from operations.anonymise.verify.structure import Pair

KNOWN = "|".join(
    (
        r"\m[sr]k_(?:live|test)_[0-9A-Za-z]{10,}",  # Stripe
        r"\mwhsec_[0-9A-Za-z+/=]{20,}",
        r"\m(?:AKIA|ASIA)[0-9A-Z]{16}\M",  # AWS
        r"-----BEGIN [A-Z ]*PRIVATE KEY",  # PEM
        r"\meyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",  # JSON web token, RFC 7519
        r"\m(?:ghp|gho|ghs|ghu|github_pat|glpat)[_-][0-9A-Za-z_]{20,}",  # GitHub, GitLab
        r"\mxox[abprs]-[0-9A-Za-z-]{10,}",  # Slack
        r"\mAIza[0-9A-Za-z_-]{35}",  # Google
        r"\mSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}",  # SendGrid
        r"\msk-(?:ant-|proj-)?[0-9A-Za-z_-]{20,}",  # OpenAI, Anthropic
        r"://[^/\s:@\"']{1,64}:[^/\s:@\"'{}%$]{6,}@",  # a password in an address
    )
)
"""PostgreSQL's regular expression of keys whose makers gave them a shape."""

CODE = re.compile(r"(^|_)(code|compute|value|domain_force|expression|script|formula|python|body_json|headers)(_|$)")
"""Names of columns in which people write code."""
_QUOTED = re.compile(r"""["']([0-9A-Za-z+/=_.-]{20,200})["']""")
_BITS = 3.8
"""Bits of entropy of each character of a text of 20 or more: words and dotted names have 3 to 3.6, random text 4.2."""
_KINDS = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
_LEAST_DIGITS = 3


def keyshapes(pair: Pair) -> Looked:
    """Search the target.

    Args:
        pair: Source and target; only the target's text is read.
    """
    findings, searched = [], 0
    for table in pair.after.tables.values():
        columns = [column.name for column in table.columns if _kept(pair, table, column.name)]
        if not columns:
            continue
        searched += len(columns)
        wanted = ", ".join(f"count(*) FILTER (WHERE t.{quoted(name)}::text ~ {literal(KNOWN)})" for name in columns)
        row = pair.target.execute(f"SELECT {wanted} FROM {relation(table.name)} t".encode()).fetchone()
        found = Counter(dict(zip(columns, row or (), strict=False)))
        for name in columns:
            if CODE.search(name):
                found[name] += _disorderly(pair, table, name)
        findings += [
            Finding(table=table.name, column=name, what="holds what looks like a key", count=count)
            for name, count in found.items()
            if count
        ]
    return Looked(findings=findings, facts={"columns searched": searched}, required=("columns searched",))


def _kept(pair: Pair, table: Table, name: str) -> bool:
    line, column = pair.catalogue.column(table.name, name), table.column(name)
    stays = line is not None and line.rule.partition("(")[0] in {"keep", "json-keep", "shipped"}
    return stays and column is not None and column.kind in {Kind.TEXT, Kind.JSON}


def _disorderly(pair: Pair, table: Table, name: str) -> int:
    """Count rows that nobody shipped whose text has a quoted word that looks random."""
    made = shipped(table, pair.after, unsigned=True)
    own = f" AND NOT {made}" if made else ""
    cell = f"t.{quoted(name)}::text"
    query = f"SELECT {cell} FROM {relation(table.name)} t WHERE length({cell}) > 20{own}"
    return sum(
        any(random_text(word) for word in _QUOTED.findall(text)) for (text,) in pair.target.execute(query.encode())
    )


def random_text(word: str) -> bool:
    """Return whether a word looks like a key: letters of both cases and digits, in no order."""
    if not all(kind.search(word) for kind in _KINDS) or sum(map(str.isdigit, word)) < _LEAST_DIGITS:
        return False
    counts = Counter(word)
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts.values())
    return bits >= _BITS
