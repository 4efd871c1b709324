"""All checks of a refresh in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operations.anonymise import canaries
from operations.anonymise.verify import (
    credentials,
    dictionary,
    kanonymity,
    keyshapes,
    overrides,
    quasi,
    shapes,
    structure,
    unmoved,
)
from operations.anonymise.verify.report import Verification, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from operations.anonymise.verify.report import CheckResult, Looked
    from operations.anonymise.verify.structure import Pair


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a verification is to be strict about.

    Attributes:
        k: Smallest group of people with the same quasi-identifiers.
        sets: The declared sets of quasi-identifiers.
        tolerance: How far shapes may differ.
        adopted: The target went through Odoo's neutralising already; before that only the data are judged.
    """

    k: int = kanonymity.DEFAULT_K
    sets: tuple[quasi.QuasiSet, ...] = quasi.SETS
    tolerance: shapes.Tolerance = field(default_factory=shapes.Tolerance)
    adopted: bool = True


def verify(
    pair: Pair,
    wanted: Wanted,
    planted: canaries.Planting,
    files: Callable[[], Iterable[tuple[str, bytes]]] = tuple,
    progress: Callable[[CheckResult], None] = lambda _: None,
) -> Verification:
    """Run every check; none keeps another from running.

    Args:
        pair: Source and target, with autocommit connections that nothing else uses meanwhile.
        wanted: What to be strict about.
        planted: The canaries that were planted in the source.
        files: Gives name and content of the files of the target.
        progress: Told each result as it comes.
    """
    schemas = (pair.before, pair.after)
    checks = [
        ("canaries", lambda: canaries.check(pair.target, pair.after, planted, files())),
        ("dictionary", lambda: dictionary.check(pair.source, pair.target, schemas, pair.catalogue, files())),
        ("credentials", lambda: credentials.survivors(pair)),
        ("keys in texts", lambda: keyshapes.keyshapes(pair)),
        ("unchanged cells", lambda: shapes.unchanged(pair)),
        ("dates and numbers", lambda: unmoved.unmoved(pair)),
        ("a site's own lines", lambda: overrides.overrides(pair)),
        ("k-anonymity", lambda: _kanonymity(pair, wanted)),
        ("rows", lambda: structure.rows(pair)),
        ("constraints", lambda: structure.constraints(pair)),
        ("sequences", lambda: structure.sequences(pair)),
        ("references", lambda: structure.references(pair)),
        ("shapes", lambda: shapes.shapes(pair, wanted.tolerance, adopted=wanted.adopted)),
        ("ledger", lambda: structure.ledger(pair)),
    ]
    if wanted.adopted:
        checks.append(("neutralised", lambda: credentials.neutralised(pair)))
    results = []
    for name, body in checks:
        result = run(name, body)
        results.append(result)
        progress(result)
    return Verification(checks=tuple(results))


def _kanonymity(pair: Pair, wanted: Wanted) -> Looked:
    return kanonymity.check(pair.target, pair.after, pair.catalogue, wanted.k, wanted.sets, adopted=wanted.adopted)
