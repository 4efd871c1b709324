"""What a site's own lines changed of the shipped catalogue: told in the evidence, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.verify.report import Finding, Looked
from operations.anonymise.verify.values import what_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.anonymise.model import ColumnRule
    from operations.anonymise.verify.structure import Pair


def overrides(pair: Pair) -> Looked:
    """List a site's lines that took the place of shipped ones, as facts; the certificate shows them.

    A line that says less of a column than the shipped one does is no finding as such: the dictionary and the check of
    dates go on by the shipped line, and find what the site lets stay.

    Args:
        pair: Source and target.
    """
    told: dict[str, int] = {}
    findings, changed = [], list(_changed(pair))
    for table, column, was, now in changed:
        told[f"{table}.{column}: {now.rule} ({now.classification}) instead of {was.rule} ({was.classification})"] = 1
        if not now.override.strip():
            findings.append(Finding(table=table, column=column, what="a site's own line gives no reason", count=1))
    tables = [line for line in pair.catalogue.tables.values() if line.override]
    told |= {f"{line.table}: {line.action} as the site wants it": 1 for line in tables}
    weaker = sum(what_of(now) is None and what_of(was) is not None for _, _, was, now in changed)
    facts = {"shipped lines replaced": len(told), "of these looked for by the shipped line": weaker, **told}
    return Looked(findings=findings, facts=facts)


def _changed(pair: Pair) -> Iterator[tuple[str, str, ColumnRule, ColumnRule]]:
    for table, lines in sorted(pair.catalogue.replaced.items()):
        for column, was in sorted(lines.items()):
            now = pair.catalogue.columns[table][column]
            yield table, column, was, now
