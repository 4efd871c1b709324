"""From a generated hospital to rows for Odoo: people and things. What they do is in `events.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.seed import wards
from operations.seed.events import event_tables
from operations.seed.model import File, FileKind
from operations.seed.people import ascii_word
from operations.seed.rows import Content, Ref, Refs, Row, Secret, Table, Via, Xml

if TYPE_CHECKING:
    from operations.seed.model import Hospital, Patient, Person, Product, Staff, Vendor

FRANCE = Xml("base.fr")
TIME_ZONE = "Europe/Paris"


def tables(hospital: Hospital) -> tuple[Table, ...]:
    """Return every table in the order in which records can refer to each other."""
    found = (*_company(hospital), *_staff(hospital), *_contacts(hospital), _products(hospital), *event_tables(hospital))
    return tuple(table for table in found if table.rows)


def user_key(staff: str) -> str:
    """Return the key of a member of staff's user."""
    return f"user_{staff}"


def tag_key(name: str) -> str:
    """Return the key of a contact tag."""
    return f"tag_{ascii_word(name).replace('-', '_')}"


def _company(hospital: Hospital) -> tuple[Table, ...]:
    departments = tuple(
        Row(key=one.key, values={"name": one.name, "parent_id": Ref(one.parent) if one.parent else False})
        for one in hospital.departments
    )
    return (
        Table(
            title="contact tags",
            model="res.partner.category",
            rows=tuple(Row(key=tag_key(name), values={"name": name}) for name in hospital.tags),
        ),
        # One at a time: each refers to the one above it.
        Table(title="departments", model="hr.department", rows=departments, batch=1),
        Table(
            title="job positions",
            model="hr.job",
            rows=tuple(
                Row(key=one.key, values={"name": one.name, "department_id": Ref(one.department)})
                for one in hospital.jobs
            ),
        ),
    )


def _home(person: Person) -> dict[str, Any]:
    return {"street": person.street, "zip": person.zip, "city": person.city, "country_id": FRANCE}


def _staff(hospital: Hospital) -> tuple[Table, ...]:
    jobs = {job.key: job.name for job in hospital.jobs}
    with_login = tuple(one for one in hospital.staff if one.login)
    ranks = _ranks(hospital.staff)
    return (
        Table(
            title="users",
            model="res.users",
            rows=tuple(
                Row(
                    key=user_key(one.key),
                    values={
                        "name": one.person.name,
                        "login": one.login,
                        "email": one.work_email,
                        "lang": one.person.lang,
                        "tz": TIME_ZONE,
                        "password": Secret(),
                        # Odoo writes a mail for each notification otherwise, whatever the context says.
                        "notification_type": "inbox",
                    },
                )
                for one in with_login
            ),
            batch=10,  # each costs a password hash
        ),
        *(
            Table(
                title="staff",
                model="hr.employee",
                rows=tuple(Row(key=one.key, values=_employee(one, jobs)) for one in members),
                batch=50,
            )
            for members in ranks
        ),
        Table(
            title="accounts of staff",
            model="res.partner.bank",
            rows=tuple(
                Row(
                    key=f"bank_{one.key}",
                    values={"acc_number": one.iban, "partner_id": Via(one.key, "work_contact_id")},
                )
                for one in hospital.staff
            ),
        ),
    )


def _ranks(staff: tuple[Staff, ...]) -> list[list[Staff]]:
    """Return staff by their distance to the top, so that every manager exists before those who report."""
    depth: dict[str, int] = {}
    found: list[list[Staff]] = []
    for one in staff:
        depth[one.key] = depth[one.manager] + 1 if one.manager else 0
        while len(found) <= depth[one.key]:
            found.append([])
        found[depth[one.key]].append(one)
    return found


def _employee(one: Staff, jobs: dict[str, str]) -> dict[str, Any]:
    person = one.person
    values: dict[str, Any] = {
        "name": person.name,
        "legal_name": person.name,
        "work_email": one.work_email,
        "work_phone": one.work_phone,
        "department_id": Ref(one.department),
        "job_id": Ref(one.job),
        "job_title": jobs[one.job],
        "tz": TIME_ZONE,
        "lang": person.lang,
        "barcode": one.badge,
        "private_email": person.email,
        "private_phone": person.phone,
        "birthday": f"{person.birthday}",
        "place_of_birth": person.city,
        "emergency_contact": one.emergency_name,
        "emergency_phone": one.emergency_phone,
        # From here on Odoo keeps it on the employee's version.
        "date_version": f"{one.hired}",
        "contract_date_start": f"{one.hired}",
        "wage": one.wage,
        "country_id": FRANCE,
        "identification_id": one.passport[::-1],
        "ssnid": one.ssn,
        "passport_id": one.passport,
        "sex": person.sex,
        "private_street": person.street,
        "private_zip": person.zip,
        "private_city": person.city,
        "private_country_id": FRANCE,
        "marital": one.marital,
        "children": one.children,
        "spouse_complete_name": one.spouse or False,
    }
    if one.manager:
        values["parent_id"] = Ref(one.manager)
    if one.login:
        values["user_id"] = Ref(user_key(one.key))
    return values


def _contacts(hospital: Hospital) -> tuple[Table, ...]:
    payers = tuple(
        Row(key=one.key, values=_contact(one.person, f"Pays as: {one.relation}")) for one in hospital.guarantors
    )
    accounts = [(vendor.key, vendor.iban) for vendor in hospital.vendors]
    accounts += [(patient.key, patient.iban) for patient in hospital.patients if patient.iban]
    photos = tuple(patient for patient in hospital.patients if patient.photo)
    plain = tuple(patient for patient in hospital.patients if not patient.photo)
    return (
        Table(
            title="vendors and insurers",
            model="res.partner",
            rows=tuple(Row(key=one.key, values=_vendor(one)) for one in hospital.vendors),
        ),
        Table(
            title="people at vendors",
            model="res.partner",
            rows=tuple(
                Row(
                    key=f"contact_{one.key}",
                    values={**_contact(one.contact), "parent_id": Ref(one.key), "type": "contact", "function": "Sales"},
                )
                for one in hospital.vendors
            ),
        ),
        Table(title="guarantors", model="res.partner", rows=payers),
        Table(
            title="patients",
            model="res.partner",
            rows=tuple(Row(key=one.key, values=_patient(one)) for one in plain),
        ),
        Table(
            title="patients with a portrait",
            model="res.partner",
            rows=tuple(
                Row(key=one.key, values={**_patient(one), "image_1920": Content(_portrait(number, one))})
                for number, one in enumerate(photos)
            ),
            batch=20,  # Odoo makes five sizes of each
        ),
        Table(
            title="bank accounts",
            model="res.partner.bank",
            rows=tuple(
                Row(key=f"bank_{owner}", values={"acc_number": iban, "partner_id": Ref(owner)})
                for owner, iban in accounts
            ),
        ),
    )


def _contact(person: Person, comment: str = "") -> dict[str, Any]:
    return {
        **_home(person),
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
        "lang": person.lang,
        "tz": TIME_ZONE,
        "comment": f"<p>{comment}</p>" if comment else False,
    }


def _patient(one: Patient) -> dict[str, Any]:
    comment = f"Insurance no. {one.insurance}. Born {one.person.birthday:%d/%m/%Y}."
    if one.guarantor:
        comment += " A guarantor pays."
    return {
        **_contact(one.person, comment),
        "ref": one.mrn,
        "barcode": one.insurance,
        "category_id": Refs(tuple(tag_key(name) for name in one.tags)),
    }


def _portrait(number: int, one: Patient) -> File:
    return File(
        key=f"portrait_{one.key}",
        about=one.key,
        name=f"{one.person.name}.jpg",
        kind=FileKind.JPEG,
        text=(one.person.name, one.mrn),
        width=160 + 8 * (number % 7),
        height=200,
        shade=number * 29 % 256,
    )


def _vendor(one: Vendor) -> dict[str, Any]:
    return {
        "name": one.name,
        "is_company": True,
        "street": one.street,
        "zip": one.zip,
        "city": one.city,
        "country_id": FRANCE,
        "email": one.email,
        "phone": one.phone,
        "vat": one.vat,
        "lang": "fr_FR",
        "category_id": Refs((tag_key(wards.TAGS[-1]),) if one.insurer else ()),
    }


def _products(hospital: Hospital) -> Table:
    return Table(
        title="products and services",
        model="product.product",
        rows=tuple(Row(key=one.key, values=_product(one)) for one in hospital.products),
        french={one.key: one.name_fr for one in hospital.products},
    )


def _product(one: Product) -> dict[str, Any]:
    return {
        "name": one.name,
        "default_code": one.code,
        "type": "consu" if one.kind == "goods" else "service",
        "is_storable": one.kind == "goods",
        "list_price": one.price,
        # An expense with a cost would have its amount computed from it.
        "standard_price": 0.0 if one.kind == "expense" else one.cost,
        "sale_ok": one.kind != "expense",
        "purchase_ok": one.kind == "goods",
        "can_be_expensed": one.kind == "expense",
        "invoice_policy": "order",
        "purchase_method": "purchase",
    }
