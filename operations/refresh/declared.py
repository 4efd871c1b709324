"""The columns that a site's settings name, judged before a run: what no catalogue knows, production cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.problems import Problem, SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from infra.model import QuasiIdentifiers, SiteSettings
    from operations.anonymise.model import Catalogue


def refuse_unknown(root: Path, site: SiteSettings) -> None:
    """Refuse `refresh.quasi_identifiers` whose tables or columns neither the catalogue nor the site's own files know.

    A column that no file classifies would stop the run, so one that is named here and unknown is a slip, found before
    prod's data is copied. What only the live schema can tell, the run itself refuses.

    Raises:
        SettingsError: With every such name, or with every mistake of the site's own files.
    """
    declared = site.refresh.quasi_identifiers if site.refresh else ()
    if not declared:
        return
    catalogue = _catalogue(root / f"sites/{site.name}.catalogue")
    file = f"sites/{site.name}.yaml"
    problems = [
        Problem(path=f"{file}: refresh.quasi_identifiers[{index}].{path}", message=message, action=action)
        for index, each in enumerate(declared)
        for path, message, action in _of_set(each, catalogue, site.name)
    ]
    if problems:
        raise SettingsError(problems)


def _catalogue(folder: Path) -> Catalogue:
    from operations.anonymise.catalogue.loader import CatalogueError, load

    try:
        return load(sorted(folder.glob("*.tsv")))
    except CatalogueError as error:
        action = "Correct the line; a refresh could not use the file either."
        raise SettingsError(
            Problem(path=f"sites/{folder.name}", message=mistake, action=action) for mistake in error.mistakes
        ) from None


def _of_set(declared: QuasiIdentifiers, catalogue: Catalogue, site: str) -> Iterator[tuple[str, str, str]]:
    table = declared.table
    if table not in catalogue.columns:
        yield "table", f"names {table!r}, a table that no catalogue knows", _action(table, catalogue.columns, site)
        return
    paths = [(f"columns[{place}]", path) for place, path in enumerate(declared.columns)]
    if declared.person is not None:
        paths.append(("person", declared.person))
    for where, path in paths:
        column = path.partition(".")[0]
        if catalogue.column(table, column) is None:
            message = f"names {column!r}, a column of {table} that no catalogue knows"
            yield where, message, _action(column, catalogue.columns[table], site)


def _action(word: str, known: Iterable[str], site: str) -> str:
    near = nearest(word, known)
    hint = f"Did you mean {near!r}? " if near else ""
    return f"{hint}Correct it, or classify what your own module adds in sites/{site}.catalogue/."
