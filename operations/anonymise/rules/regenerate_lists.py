"""Write data/lists.json again from Faker.

With ``uv run --with faker==40.54.0 python -m operations.anonymise.rules.regenerate_lists``.
Deterministic for a version of Faker. Lists have the same length in every language, so that a place in them is found by
multiplication. Faker is under the MIT licence.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

LOCALES = {"en": "en_US", "fr": "fr_FR", "de": "de_DE", "es": "es_ES", "nl": "nl_NL"}
PER_SEX = 88  # as many as the shortest list has: French men
LAST = 400
STREETS = 200
CITIES = 48
WIDEST = 60  # bytes; the type `name` holds 63
LONGEST_NAME = 24  # characters, so that a company named after two people stays within 64
TARGET = Path(__file__).parent / "data" / "lists.json"
NUMBER_FIRST = {"en", "fr"}


def main() -> None:
    """Write the file."""
    faker = importlib.import_module("faker")
    lists: dict[str, Any] = {"faker": faker.VERSION, "languages": {}}
    for language, locale in LOCALES.items():
        lists["languages"][language] = of_language(faker, language, locale)
    TARGET.write_text(json.dumps(lists, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def of_language(faker: Any, language: str, locale: str) -> dict[str, list[str]]:  # noqa: ANN401 - an untyped library
    """Return the lists of one language."""
    person = importlib.import_module(f"faker.providers.person.{locale}").Provider
    fake = faker.Faker(locale)
    fake.seed_instance(19)
    return {
        "female": usual(person.first_names_female, PER_SEX),
        "male": usual(person.first_names_male, PER_SEX),
        "last": usual(person.last_names, LAST),
        "street": distinct(lambda: street(fake, language), STREETS),
        "city": distinct(fake.city, CITIES),
        "suffix": distinct(fake.company_suffix, 2, tries=200),
    }


def usual(names: Any, count: int) -> list[str]:  # noqa: ANN401 - a tuple, or weights by name
    """Return the most frequent names where frequencies are known, else some from all over the list, sorted."""
    unique = [name for name in dict.fromkeys(names) if len(name) <= LONGEST_NAME]
    if hasattr(names, "items"):
        chosen = sorted(unique, key=lambda name: (-names[name], name))[:count]
    else:
        chosen = [unique[position * len(unique) // count] for position in range(count)]
    if len(set(chosen)) != count or any(len(name.encode()) > WIDEST for name in chosen):
        raise SystemExit(f"a list is too short or too wide for {count} names")
    return sorted(chosen)


def street(fake: Any, language: str) -> str:  # noqa: ANN401 - an untyped library
    """Return a street with its number where the language puts it."""
    name, number = fake.street_name(), fake.random_int(1, 250)
    return f"{number} {name}" if language in NUMBER_FIRST else f"{name} {number}"


def distinct(make: Any, count: int, tries: int = 20_000) -> list[str]:  # noqa: ANN401 - a bound method of the library
    """Return different short texts, sorted."""
    found: dict[str, None] = {}
    for _ in range(tries):
        text = " ".join(make().split())
        if len(text.encode()) <= WIDEST:
            found[text] = None
        if len(found) == count:
            return sorted(found)
    raise SystemExit(f"{len(found)} of {count} texts found")


if __name__ == "__main__":
    main()
