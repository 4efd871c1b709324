"""Generated people: names of many origins, addresses, numbers that are valid and belong to nobody."""

from __future__ import annotations

import random
import re
import unicodedata
from datetime import date, datetime, time, timedelta

from faker import Faker

from operations.seed.model import Person

LAST_DAY = date(2026, 10, 30)
"""The newest business day of the generated data; fixed, so that a seed gives the same data on every day."""

YEARS = 4
"""Years of history before `LAST_DAY`."""

ORIGINS = (
    *(("fr_FR", 52), ("en_US", 16), ("es_ES", 5), ("pl_PL", 5), ("cs_CZ", 4), ("de_DE", 4), ("pt_PT", 4)),
    *(("tr_TR", 3), ("da_DK", 2), ("vi_VN", 2), ("el_GR", 1), ("ru_RU", 1), ("zh_CN", 1)),
)
"""Locales of names with their weights: most Latin with and without diacritics, a few in other scripts."""

MAIL_DOMAINS = ("courriel.example", "post.example", "laposte.example", "webmail.example", "inbox.example")
PHONE_BLOCKS = ("26191", "46571", "63998")
"""Half of what the French regulator keeps free for fiction (ARCEP decision 2018-0881); four digits follow each.

Masking makes its numbers in the other half, so that none of them is somebody's by chance.
"""

OPENING_HOUR, CLOSING_HOUR = 8, 18


class Source:
    """One stream of randomness: the standard generator and Faker's locales, all seeded alike."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible data is the point
        self._fakers = {locale: Faker(locale) for locale, _ in ORIGINS}
        for number, fake in enumerate(self._fakers.values()):
            fake.seed_instance(seed * 1009 + number)
        self._mails: set[str] = set()

    def fake(self, locale: str = "fr_FR") -> Faker:
        """Return the Faker of a locale."""
        return self._fakers[locale]

    def chance(self, share: float) -> bool:
        """Return True in this share of the cases."""
        return self.random.random() < share

    def digits(self, count: int) -> str:
        """Return so many random digits."""
        return "".join(self.random.choices("0123456789", k=count))

    # -- time ------------------------------------------------------------------------------------------------------

    def day(self, first: date | None = None, last: date = LAST_DAY) -> date:
        """Return a weekday between two dates, both included."""
        first = first or last - timedelta(days=365 * YEARS)
        day = first + timedelta(days=self.random.randint(0, max(0, (last - first).days)))
        return day - timedelta(days=max(0, day.weekday() - 4))

    def moment(self, day: date | None = None) -> datetime:
        """Return a moment in opening hours, UTC as Odoo stores it, on a quarter of an hour."""
        clock = time(self.random.randint(OPENING_HOUR, CLOSING_HOUR - 2), self.random.choice((0, 15, 30, 45)))
        return datetime.combine(day or self.day(), clock)

    # -- identities ------------------------------------------------------------------------------------------------

    def phone(self) -> str:
        """Return a French number that is kept free for fiction."""
        tail = self.digits(4)
        block = self.random.choice(PHONE_BLOCKS)
        number = block + tail
        return f"+33 {number[0]} {number[1:3]} {number[3:5]} {number[5:7]} {number[7:9]}"

    def email(self, given: str, family: str, domain: str | None = None) -> str:
        """Return an address that nobody has yet, on a reserved domain."""
        stem = ".".join(part for part in (ascii_word(given), ascii_word(family)) if part) or f"p{self.digits(6)}"
        host = domain or self.random.choice(MAIL_DOMAINS)
        address, number = f"{stem}@{host}", 1
        while address in self._mails:
            number += 1
            address = f"{stem}{number}@{host}"
        self._mails.add(address)
        return address

    def person(self, youngest: int = 18, oldest: int = 88, *, family: str | None = None) -> Person:
        """Return a person of an age between two, at `LAST_DAY`.

        Args:
            youngest: Years.
            oldest: Years.
            family: A family name to share.
        """
        locales, weights = zip(*ORIGINS, strict=True)
        locale = self.random.choices(locales, weights)[0]
        fake = self.fake(locale)
        sex = self.random.choice(("male", "female"))
        given = fake.first_name_male() if sex == "male" else fake.first_name_female()
        own = family or (fake.last_name_male() if sex == "male" else fake.last_name_female())
        if self.chance(0.04):
            own = f"{own}-{self.fake().last_name()}"
        age = timedelta(days=self.random.randint(youngest * 365 + 30, oldest * 365 + 300))
        home = self.fake()
        return Person(
            name=f"{given} {own}",
            given=given,
            family=own,
            sex=sex,
            birthday=LAST_DAY - age,
            street=home.street_address(),
            zip=home.postcode().replace(" ", ""),
            city=home.city(),
            email=self.email(given, own),
            phone=self.phone(),
            lang="en_US" if locale == "en_US" else self.random.choices(("fr_FR", "en_US"), (4, 1))[0],
        )

    def iban(self) -> str:
        """Return a French account number with both checks right."""
        bank, branch, account = self.digits(5), self.digits(5), self.digits(11)
        key = 97 - (89 * int(bank) + 15 * int(branch) + 3 * int(account)) % 97
        body = f"{bank}{branch}{account}{key:02d}"
        return f"FR{98 - int(body + '152700') % 97:02d}{body}"

    def ssn(self, person: Person) -> str:
        """Return a French social security number that fits the person, with its check."""
        first = "1" if person.sex == "male" else "2"
        place = self.random.randint(1, 95)
        place += place == 20  # noqa: PLR2004 - Corsica has letters
        town, order = self.random.randint(1, 989), self.random.randint(1, 998)
        body = f"{first}{person.birthday:%y%m}{place:02d}{town:03d}{order:03d}"
        return f"{body}{97 - int(body) % 97:02d}"

    def vat(self) -> str:
        """Return a French VAT number with its check; the company number passes the Luhn check."""
        siren = self.digits(8)
        digits = [int(digit) * (1 + place % 2) for place, digit in enumerate(siren)]
        siren += str(-sum(digit // 10 + digit % 10 for digit in digits) % 10)
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"


def ascii_word(text: str) -> str:
    """Return text as it stands in an e-mail address: small Latin letters without accents, dashes between words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
