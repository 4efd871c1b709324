"""What happens in a generated hospital over the years: orders, purchases, projects, repairs, appointments, days off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from operations.seed import wards
from operations.seed.model import (
    Applicant,
    Appointment,
    Equipment,
    Expense,
    Lead,
    Leave,
    Line,
    Order,
    Project,
    Purchase,
    Repair,
    Task,
)
from operations.seed.people import LAST_DAY

if TYPE_CHECKING:
    from operations.seed.model import Job, Patient, Product, Staff, Vendor
    from operations.seed.people import Source

ORDER_STAGES = (("quote", 12), ("confirmed", 10), ("invoiced", 18), ("paid", 48), ("partial", 12))
PURCHASE_STAGES = (("draft", 10), ("confirmed", 15), ("received", 25), ("billed", 50))


@dataclass(frozen=True, kw_only=True)
class Made:
    """Everything of this module's making."""

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


class Business:
    """Makes the years' events for the people and products of a hospital."""

    def __init__(
        self,
        source: Source,
        *,
        staff: tuple[Staff, ...],
        patients: tuple[Patient, ...],
        vendors: tuple[Vendor, ...],
        products: tuple[Product, ...],
        jobs: tuple[Job, ...],
    ) -> None:
        self.source = source
        self.random = source.random
        self.staff, self.patients, self.jobs = staff, patients, jobs
        self.users = tuple(one for one in staff if one.login)
        self.vendors = tuple(vendor for vendor in vendors if not vendor.insurer)
        self.services = tuple(product for product in products if product.kind == "service")
        self.goods = tuple(product for product in products if product.kind == "goods")
        self.sold = tuple(product for product in self.goods if product.code in wards.SOLD_TO_PATIENTS)
        self.expensed = tuple(product for product in products if product.kind == "expense")

    def make(self) -> Made:
        """Return all of it, in an order that never changes."""
        size = len(self.patients)
        projects = self._projects()
        equipment = tuple(self._device(number) for number in range(1, max(12, size // 15) + 1))
        return Made(
            purchases=tuple(self._purchase(number) for number in range(1, max(10, size // 8) + 1)),
            orders=tuple(self._order(number) for number in range(1, size * 3 // 2 + 1)),
            projects=projects,
            tasks=tuple(self._task(number, projects) for number in range(1, max(30, size // 3) + 1)),
            equipment=equipment,
            repairs=tuple(self._repair(number, equipment) for number in range(1, max(15, size // 10) + 1)),
            appointments=tuple(self._appointment(number) for number in range(1, size + 1)),
            leaves=self._leaves(),
            applicants=tuple(self._applicant(number) for number in range(1, max(12, size // 25) + 1)),
            expenses=tuple(self._expense(number) for number in range(1, max(15, size // 20) + 1)),
            leads=tuple(self._lead(number) for number in range(1, max(20, size // 8) + 1)),
        )

    def _stage(self, stages: tuple[tuple[str, int], ...]) -> str:
        names, weights = zip(*stages, strict=True)
        return self.random.choices(names, weights)[0]

    def _after(self, day: date, fewest: int, most: int) -> date:
        """Return a weekday some days later, never after the last day."""
        later = min(LAST_DAY, day + timedelta(days=self.random.randint(fewest, most)))
        return max(day, later - timedelta(days=max(0, later.weekday() - 4)))

    def _order(self, number: int) -> Order:
        at = self.source.moment()
        patient = self.random.choice(self.patients)
        products = self.random.sample(self.services, self.random.choice((1, 1, 2, 2, 3)))
        if self.source.chance(0.15):
            products.append(self.random.choice(self.sold))
        lines = tuple(
            Line(
                product=product.key,
                quantity=self.random.randint(1, 6) if product.code in {"WARD-DAY", "ROOM-1", "PHYSIO"} else 1,
                price=product.price,
                text=f"{product.name} - {patient.person.name} ({patient.mrn})"
                if self.source.chance(0.3)
                else product.name,
            )
            for product in products
        )
        invoiced = self._after(at.date(), 0, 12)
        return Order(
            key=f"order_{number:06d}",
            customer=patient.guarantor or patient.key,
            at=at,
            lines=lines,
            note=f"<p>Patient: {patient.person.name}, {patient.mrn}</p>" if patient.guarantor else "",
            reference=patient.mrn,
            stage=self._stage(ORDER_STAGES),
            invoiced=invoiced,
            paid=self._after(invoiced, 1, 45),
            share=self.random.choice((0.3, 0.5, 0.7)),
        )

    def _purchase(self, number: int) -> Purchase:
        at = self.source.moment()
        vendor = self.random.choice(self.vendors)
        # The first orders carry every article, so that what patients buy is in stock.
        products = self.goods if number <= 2 else self.random.sample(self.goods, self.random.randint(1, 4))  # noqa: PLR2004 - two orders
        stock = max(200, len(self.patients)) if number <= 2 else 0  # noqa: PLR2004 - the same two orders
        return Purchase(
            key=f"purchase_{number:06d}",
            vendor=vendor.key,
            at=at,
            lines=tuple(
                Line(
                    product=product.key,
                    quantity=stock or self.random.choice((10, 20, 25, 50, 100)),
                    price=round(product.cost * self.random.uniform(0.92, 1.08), 2),
                    text=product.name,
                )
                for product in products
            ),
            reference=f"{vendor.contact.family}/{at:%y%m}/{number}",
            stage="billed" if number <= 2 else self._stage(PURCHASE_STAGES),  # noqa: PLR2004 - the same two orders
            billed=self._after(at.date(), 3, 30),
        )

    def _projects(self) -> tuple[Project, ...]:
        found = []
        for number, name in enumerate((wards.HELP_DESK, *wards.PROJECTS), start=1):
            start = self.source.day(last=LAST_DAY - timedelta(days=200))
            found.append(
                Project(
                    key=f"project_{number:06d}",
                    name=name,
                    manager=self.random.choice(self.users).key,
                    start=start,
                    end=start + timedelta(days=self.random.randint(150, 700)),
                )
            )
        return tuple(found)

    def _task(self, number: int, projects: tuple[Project, ...]) -> Task:
        patient, one = self.random.choice(self.patients), self.random.choice(self.staff)
        ticket = self.source.chance(0.4)
        what = self.random.choice(wards.TASKS)
        return Task(
            key=f"task_{number:06d}",
            project=projects[0].key if ticket else self.random.choice(projects[1:]).key,
            name=f"{what}: {patient.person.name}" if self.source.chance(0.4) else what,
            text=f"<p>{one.person.name} asked on {one.work_phone}: {what.lower()} for {patient.person.name}, "
            f"{patient.mrn}, {patient.person.phone}.</p>",
            deadline=self.source.moment(),
            assigned=self.random.choice(self.users).key,
            customer=patient.key if ticket else None,
            tag=wards.TICKET if ticket else None,
        )

    def _device(self, number: int) -> Equipment:
        return Equipment(
            key=f"equipment_{number:06d}",
            name=f"{self.random.choice(wards.DEVICES)} {number}",
            serial=f"SN{self.source.digits(8)}-{number}",
            vendor=self.random.choice(self.vendors).key,
            cost=self.random.randrange(400, 90000, 100),
            bought=self.source.day(LAST_DAY - timedelta(days=365 * 8)),
        )

    def _repair(self, number: int, equipment: tuple[Equipment, ...]) -> Repair:
        device, one = self.random.choice(equipment), self.random.choice(self.staff)
        fault = self.random.choice(wards.FAULTS)
        return Repair(
            key=f"repair_{number:06d}",
            equipment=device.key,
            name=f"{fault} ({device.name})",
            text=f"<p>Reported by {one.person.name}, {one.work_phone}. {fault}.</p>",
            on=self.source.day(),
        )

    def _appointment(self, number: int) -> Appointment:
        patient, one = self.random.choice(self.patients), self.random.choice(self.staff)
        start = self.source.moment()
        what = self.random.choice(wards.CONSULTATIONS)
        return Appointment(
            key=f"appointment_{number:06d}",
            name=f"{what} {patient.person.name}" if self.source.chance(0.7) else f"{what} {patient.mrn}",
            start=start,
            stop=start + timedelta(minutes=self.random.choice((15, 30, 45, 60))),
            patient=patient.key,
            staff=one.key,
            place=f"Room {self.random.randint(101, 460)}",
            text=f"<p>{patient.person.name}, {patient.mrn}, tel. {patient.person.phone}. With {one.person.name}.</p>",
        )

    def _leaves(self) -> tuple[Leave, ...]:
        """Return days off that never overlap: at most one in each of a few quarters, for each member of staff."""
        found: list[Leave] = []
        for one in self.staff:
            for quarter in self.random.sample(range(8), self.random.choice((0, 1, 2))):
                start = LAST_DAY - timedelta(days=90 * quarter + self.random.randint(10, 70))
                first = start - timedelta(days=start.weekday())
                sick = self.source.chance(0.35)
                reason = self.random.choice(wards.SICK_REASONS if sick else wards.REASONS)
                found.append(
                    Leave(
                        key=f"leave_{len(found) + 1:06d}",
                        staff=one.key,
                        first=first,
                        last=first + timedelta(days=self.random.randint(0, 4)),
                        reason=reason.format(name=one.person.name),
                        sick=sick,
                    )
                )
        return tuple(leave for leave in found if leave.first > self._hired(leave.staff))

    def _hired(self, key: str) -> date:
        return self.staff[int(key.removeprefix("staff_")) - 1].hired

    def _applicant(self, number: int) -> Applicant:
        person = self.source.person(21, 60)
        return Applicant(
            key=f"applicant_{number:06d}",
            person=person,
            job=self.random.choice(self.jobs).key,
            expected=self.random.randrange(2000, 8000, 100),
            text=f"<p>{person.name}, born {person.birthday:%d/%m/%Y}, lives in {person.city}. Call {person.phone}.</p>",
        )

    def _expense(self, number: int) -> Expense:
        one, product = self.random.choice(self.staff), self.random.choice(self.expensed)
        return Expense(
            key=f"expense_{number:06d}",
            staff=one.key,
            product=product.key,
            name=f"{product.name}, {one.person.family}",
            amount=round(product.cost * self.random.uniform(0.6, 1.6), 2),
            on=self.source.day(max(one.hired, LAST_DAY - timedelta(days=700))),
            text=f"Paid by {one.person.name} with a card of {one.iban}.",
            stage=self.random.choice(("draft", "submitted", "submitted", "approved", "approved")),
        )

    def _lead(self, number: int) -> Lead:
        person = self.source.person(20, 85)
        what = self.random.choice(wards.CONSULTATIONS)
        return Lead(
            key=f"lead_{number:06d}",
            name=f"{what}: {person.name}" if self.source.chance(0.5) else f"Question about {what.lower()}",
            person=person,
            company=self.source.fake().company() if self.source.chance(0.2) else None,
            text=f"<p>{person.given} wrote from {person.email}: please call {person.phone}.</p>",
            revenue=self.random.randrange(100, 6000, 50),
        )
