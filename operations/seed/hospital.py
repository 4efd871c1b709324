"""Makes a hospital company from a size and a seed: the same two numbers always give the same company."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from operations.seed import wards
from operations.seed.business import Business
from operations.seed.model import Department, Guarantor, Hospital, Job, Patient, Person, Product, Staff, Vendor
from operations.seed.paper import Paper
from operations.seed.people import LAST_DAY, Source, ascii_word

SIZES: dict[str, int] = {"small": 200, "medium": 2000, "large": 10000}
"""Patients of each named size."""

SMALLEST, LARGEST = 10, 200_000
"""Fewer patients leave kinds of records out; more would take days through the API."""

STAFF_DOMAIN = "riverside.example.org"
NEWEST_HIRED = LAST_DAY - timedelta(days=120)
MOST_STAFF, MOST_VENDORS, MOST_USERS = 900, 150, 25
"""A user costs a password hash, about half a second of the server's time."""


def generate(size: int, seed: int) -> Hospital:
    """Return the hospital of so many patients.

    Args:
        size: Number of patients.
        seed: Any whole number from 0.

    Raises:
        ValueError: When the size is out of `SMALLEST` to `LARGEST`, or the seed negative.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"a hospital has {SMALLEST} to {LARGEST} patients, not {size}")
    if seed < 0:
        raise ValueError(f"a seed is a whole number from 0, not {seed}")
    source = Source(seed)
    departments = tuple(
        Department(key=key("department", name), name=name, parent=key("department", parent) if parent else None)
        for name, parent in wards.DEPARTMENTS
    )
    jobs = tuple(
        Job(key=key("job", f"{department} {name}"), name=name, department=key("department", department))
        for department, names in wards.JOBS.items()
        for name in names
    )
    vendors = _vendors(source, size)
    staff = _staff(source, jobs, min(MOST_STAFF, max(len(jobs), size // 10)))
    patients, guarantors = _patients(source, size)
    products = _products()
    business = Business(source, staff=staff, patients=patients, vendors=vendors, products=products, jobs=jobs)
    made = business.make()
    paper = Paper(source, staff=staff, patients=patients, guarantors=guarantors, vendors=vendors, made=made)
    return Hospital(
        patients_wanted=size,
        seed=seed,
        departments=departments,
        jobs=jobs,
        tags=wards.TAGS,
        vendors=vendors,
        staff=staff,
        guarantors=guarantors,
        patients=patients,
        products=products,
        orders=made.orders,
        purchases=made.purchases,
        projects=made.projects,
        tasks=made.tasks,
        equipment=made.equipment,
        repairs=made.repairs,
        appointments=made.appointments,
        leaves=made.leaves,
        applicants=made.applicants,
        expenses=made.expenses,
        leads=made.leads,
        notes=paper.notes(),
        activities=paper.activities(),
        files=paper.files(),
    )


def digest(hospital: Hospital) -> str:
    """Return a checksum over everything that was generated."""
    return hashlib.sha256(repr(hospital).encode()).hexdigest()


def key(kind: str, name: object) -> str:
    """Return the key of a record: its kind and a number or a name."""
    text = f"{name:06d}" if isinstance(name, int) else ascii_word(str(name)).replace("-", "_")
    return f"{kind}_{text}"


def _products() -> tuple[Product, ...]:
    services = [
        Product(key=key("product", code), code=code, name=name, name_fr=french, kind="service", price=price, cost=0.0)
        for code, name, french, price in wards.SERVICES
    ]
    goods = [
        Product(key=key("product", code), code=code, name=name, name_fr=french, kind="goods", price=price, cost=cost)
        for code, name, french, price, cost in wards.GOODS
    ]
    expenses = [
        Product(key=key("product", code), code=code, name=name, name_fr=french, kind="expense", price=0.0, cost=cost)
        for code, name, french, cost in wards.EXPENSES
    ]
    return (*services, *goods, *expenses)


def _vendors(source: Source, size: int) -> tuple[Vendor, ...]:
    fake = source.fake()
    insurers = list(wards.INSURERS)
    names = insurers + [fake.company() for _ in range(min(MOST_VENDORS, max(8, size // 40)))]
    found = []
    for number, name in enumerate(names, start=1):
        contact = source.person(25, 62)
        found.append(
            Vendor(
                key=key("vendor", number),
                name=name,
                street=fake.street_address(),
                zip=fake.postcode().replace(" ", ""),
                city=fake.city(),
                email=source.email("contact", name, f"{ascii_word(name)}.example"),
                phone=source.phone(),
                vat=source.vat(),
                iban=source.iban(),
                contact=contact,
                insurer=number <= len(insurers),
            )
        )
    return tuple(found)


def _staff(source: Source, jobs: tuple[Job, ...], count: int) -> tuple[Staff, ...]:
    """Return staff: first one for every position, then more at random; the first of all is the director."""
    found: list[Staff] = []
    heads: dict[str, str] = {}
    for number in range(1, count + 1):
        job = jobs[number - 1] if number <= len(jobs) else source.random.choice(jobs)
        person = source.person(22, 64)
        partner = source.person(24, 64, family=person.family if source.chance(0.6) else None)
        married, hired = source.chance(0.5), source.day(LAST_DAY - timedelta(days=365 * 12), NEWEST_HIRED)
        own = key("staff", number)
        work_email = source.email(person.given, person.family, STAFF_DOMAIN)
        found.append(
            Staff(
                key=own,
                person=person,
                job=job.key,
                department=job.department,
                manager=heads.get(job.department) or (found[0].key if found else None),
                login=work_email if number <= min(MOST_USERS, max(6, count // 3)) else None,
                ssn=source.ssn(person),
                passport=f"{source.digits(2)}{source.random.choice('ABCDFGHK')}{source.random.choice('RTVX')}{source.digits(5)}",
                iban=source.iban(),
                badge=f"04{source.digits(10)}",
                wage=source.random.randrange(1900, 9200, 50),
                hired=hired,
                moved=source.day(hired + timedelta(days=60)) if number % 10 == 4 else None,  # noqa: PLR2004 - one in ten
                new_street=source.fake().street_address(),
                marital="married" if married else source.random.choice(("single", "cohabitant", "divorced", "widower")),
                children=source.random.choice((0, 0, 1, 2, 2, 3)),
                spouse=partner.name if married else None,
                emergency_name=partner.name,
                emergency_phone=partner.phone,
                work_email=work_email,
                work_phone=source.phone(),
            )
        )
        heads.setdefault(job.department, own)
    return tuple(found)


def _patients(source: Source, size: int) -> tuple[tuple[Patient, ...], tuple[Guarantor, ...]]:
    """Return patients and those who pay for some of them, with the oddities that real lists have."""
    patients: list[Patient] = []
    guarantors: list[Guarantor] = []
    while len(patients) < size:
        number = len(patients) + 1
        child, ancient = source.chance(0.15), number % 50 == 5  # noqa: PLR2004 - one in fifty, from the first ten on
        person = source.person(0, 17) if child else source.person(90, 103) if ancient else source.person()
        if number % 33 == 8:  # noqa: PLR2004 - a household with one telephone
            person = replace(person, phone=patients[-1].person.phone, street=patients[-1].person.street)
        if number % 97 == 9:  # noqa: PLR2004 - another person of the same name
            person = replace(
                person,
                name=patients[-2].person.name,
                given=patients[-2].person.given,
                family=patients[-2].person.family,
            )
        guarantor = None
        if child or source.chance(0.1):
            payer = source.person(28, 70, family=person.family)
            payer = replace(payer, street=person.street, zip=person.zip, city=person.city)
            guarantor = key("guarantor", len(guarantors) + 1)
            guarantors.append(Guarantor(key=guarantor, person=payer, relation=source.random.choice(wards.RELATIONS)))
        patients.append(_patient(source, number, person, guarantor))
        if number % 40 == 7 and len(patients) < size:  # noqa: PLR2004 - twins
            other = source.person(0, 17, family=person.family)
            twin = replace(other, birthday=person.birthday, street=person.street, zip=person.zip, city=person.city)
            patients.append(_patient(source, number + 1, replace(twin, phone=person.phone), guarantor))
    return tuple(patients), tuple(guarantors)


def _patient(source: Source, number: int, person: Person, guarantor: str | None) -> Patient:
    moved = number % 20 == 3  # noqa: PLR2004 - one in twenty changed the address
    return Patient(
        key=key("patient", number),
        person=person,
        mrn=f"MRN-{4_000_000 + number * 7 + source.random.randint(0, 6)}",
        insurance=source.ssn(person),
        guarantor=guarantor,
        iban=source.iban() if source.chance(0.25) else None,
        tags=tuple(sorted(source.random.sample(wards.TAGS[:-1], source.random.choice((0, 0, 1, 1, 2))))),
        new_email=source.email(person.given, person.family) if moved else None,
        photo=source.chance(0.15),
    )
