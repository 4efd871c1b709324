"""What a generated hospital company consists of: plain values that know nothing of Odoo."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime


class FileKind(StrEnum):
    """Types of attached files."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    DOCX = "docx"
    CSV = "csv"
    TXT = "txt"


MIME_TYPES: dict[FileKind, str] = {
    FileKind.PDF: "application/pdf",
    FileKind.PNG: "image/png",
    FileKind.JPEG: "image/jpeg",
    FileKind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    FileKind.CSV: "text/csv",
    FileKind.TXT: "text/plain",
}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One generated person.

    Attributes:
        name: Given and family name in the order the person uses.
        email: On a domain that RFC 2606 reserves: a mail to it can never reach anybody.
        phone: In a block that the regulator keeps free for fiction, international format.
    """

    name: str
    given: str
    family: str
    sex: str
    birthday: date
    street: str
    zip: str
    city: str
    email: str
    phone: str
    lang: str


@dataclass(frozen=True, kw_only=True)
class Department:
    """A department; `parent` is another one's key."""

    key: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job position of a department."""

    key: str
    name: str
    department: str


@dataclass(frozen=True, kw_only=True)
class Staff:
    """One employee.

    Attributes:
        login: Log-in name; None for staff without a user.
        wage: Gross pay a month, in the company's currency.
        hired: First day of the contract; `moved` when the private address changed, if ever.
    """

    key: str
    person: Person
    job: str
    department: str
    manager: str | None
    login: str | None
    ssn: str
    passport: str
    iban: str
    badge: str
    wage: int
    hired: date
    moved: date | None
    new_street: str
    marital: str
    children: int
    spouse: str | None
    emergency_name: str
    emergency_phone: str
    work_email: str
    work_phone: str


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient, a contact.

    Attributes:
        mrn: Medical record number; `insurance` the number on the insurance card.
        guarantor: Key of who pays; None when the patient does.
        new_email: An address the patient changed to later, which leaves the old one in the tracked history.
    """

    key: str
    person: Person
    mrn: str
    insurance: str
    guarantor: str | None
    iban: str | None
    tags: tuple[str, ...]
    new_email: str | None
    photo: bool


@dataclass(frozen=True, kw_only=True)
class Guarantor:
    """Who pays for a patient."""

    key: str
    person: Person
    relation: str


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A supplier or an insurer, with a person to talk to."""

    key: str
    name: str
    street: str
    zip: str
    city: str
    email: str
    phone: str
    vat: str
    iban: str
    contact: Person
    insurer: bool = False


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product or service; `kind` is `service`, `goods` (kept in stock) or `expense`. No taxes in price and cost."""

    key: str
    code: str
    name: str
    name_fr: str
    kind: str
    price: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an order."""

    product: str
    quantity: int
    price: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Order:
    """A patient's order.

    Attributes:
        stage: `quote`, `confirmed`, `invoiced`, `paid` or `partial`: how far it got.
        invoiced: Date of the invoice; `paid` of the payment.
        share: Part of the amount that was paid, 0 to 1.
    """

    key: str
    customer: str
    at: datetime
    lines: tuple[Line, ...]
    note: str
    reference: str
    stage: str
    invoiced: date
    paid: date
    share: float


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """An order at a vendor; `stage` is `draft`, `confirmed`, `received` or `billed`."""

    key: str
    vendor: str
    at: datetime
    lines: tuple[Line, ...]
    reference: str
    stage: str
    billed: date


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project with its manager."""

    key: str
    name: str
    manager: str
    start: date
    end: date


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of a project, assigned to staff; the text quotes people. `tag` marks tickets of the help desk."""

    key: str
    project: str
    name: str
    text: str
    deadline: datetime
    assigned: str
    customer: str | None
    tag: str | None


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """A device, with its serial number and vendor."""

    key: str
    name: str
    serial: str
    vendor: str
    cost: int
    bought: date


@dataclass(frozen=True, kw_only=True)
class Repair:
    """A maintenance request about a device."""

    key: str
    equipment: str
    name: str
    text: str
    on: date


@dataclass(frozen=True, kw_only=True)
class Appointment:
    """A patient's appointment with a member of staff."""

    key: str
    name: str
    start: datetime
    stop: datetime
    patient: str
    staff: str
    place: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Leave:
    """Days off."""

    key: str
    staff: str
    first: date
    last: date
    reason: str
    sick: bool


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """Somebody who wants a job."""

    key: str
    person: Person
    job: str
    expected: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Expense:
    """What a member of staff paid for the hospital; `stage` is `draft`, `submitted` or `approved`."""

    key: str
    staff: str
    product: str
    name: str
    amount: float
    on: date
    text: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class Lead:
    """Somebody who asked for something: a contact by name only, not yet a patient."""

    key: str
    name: str
    person: Person
    company: str | None
    text: str
    revenue: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """An entry in the chatter of a record; `author` is staff. The HTML text quotes people."""

    key: str
    about: str
    author: str
    at: datetime
    html: str
    mail: bool


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Something that staff has to do about a record."""

    key: str
    about: str
    assigned: str
    kind: str
    summary: str
    html: str
    due: date


@dataclass(frozen=True, kw_only=True)
class File:
    """An attached file; its bytes are made by `files.render`.

    Attributes:
        text: Personal text inside.
        width: Pixels, as `height`; 0 for what is not an image.
        pages: Of a PDF; 0 for others.
    """

    key: str
    about: str
    name: str
    kind: FileKind
    text: tuple[str, ...]
    width: int = 0
    height: int = 0
    pages: int = 0
    shade: int = 0


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """The whole generated company, with the size and the seed it was made from."""

    patients_wanted: int
    seed: int
    departments: tuple[Department, ...]
    jobs: tuple[Job, ...]
    tags: tuple[str, ...]
    vendors: tuple[Vendor, ...]
    staff: tuple[Staff, ...]
    guarantors: tuple[Guarantor, ...]
    patients: tuple[Patient, ...]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]
    purchases: tuple[Purchase, ...]
    projects: tuple[Project, ...]
    tasks: tuple[Task, ...]
    equipment: tuple[Equipment, ...]
    repairs: tuple[Repair, ...]
    appointments: tuple[Appointment, ...]
    leaves: tuple[Leave, ...]
    applicants: tuple[Applicant, ...]
    expenses: tuple[Expense, ...]
    leads: tuple[Lead, ...]
    notes: tuple[Note, ...]
    activities: tuple[Activity, ...]
    files: tuple[File, ...]
