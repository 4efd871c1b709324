"""From a generated hospital to rows for Odoo: orders, projects, appointments, chatter, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.seed import wards
from operations.seed.model import MIME_TYPES
from operations.seed.rows import Content, Lines, ModelIdOf, ModelOf, Ref, Refs, Row, Table, Via, Vias, Xml

if TYPE_CHECKING:
    from datetime import datetime

    from operations.seed.model import Expense, File, Hospital, Lead, Line, Note, Order, Purchase

TASK_STAGES = ("To do", "In progress", "Done")
LEAVE_TYPES = {"leave_type_annual": "Annual leave", "leave_type_sick": "Sick leave"}
ACTIVITY_TYPES = {"call": "mail.mail_activity_data_call", "todo": "mail.mail_activity_data_todo"}
EMAIL_ACTIVITY = "mail.mail_activity_data_email"


def event_tables(hospital: Hospital) -> tuple[Table, ...]:
    """Return the tables of what happens, in the order in which records can refer to each other."""
    return (*_trade(hospital), *_projects(hospital), *_devices(hospital), *_people(hospital), *_paper(hospital))


def stamp(at: datetime) -> str:
    """Return a moment as Odoo takes it."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _trade(hospital: Hospital) -> tuple[Table, ...]:
    return (
        Table(
            title="purchase orders",
            model="purchase.order",
            rows=tuple(Row(key=one.key, values=_purchase(one)) for one in hospital.purchases),
            batch=50,
        ),
        Table(
            title="quotes",
            model="sale.order",
            rows=tuple(Row(key=one.key, values=_order(one)) for one in hospital.orders),
            batch=50,
        ),
        Table(
            title="leads",
            model="crm.lead",
            rows=tuple(Row(key=one.key, values=_lead(one)) for one in hospital.leads),
        ),
    )


def _lines(lines: tuple[Line, ...], amount: str) -> Lines:
    return Lines(
        tuple(
            {"product_id": Ref(one.product), amount: one.quantity, "price_unit": one.price, "name": one.text}
            for one in lines
        )
    )


def _purchase(one: Purchase) -> dict[str, Any]:
    return {
        "partner_id": Ref(one.vendor),
        "date_order": stamp(one.at),
        "partner_ref": one.reference,
        "order_line": _lines(one.lines, "product_qty"),
    }


def _order(one: Order) -> dict[str, Any]:
    return {
        "partner_id": Ref(one.customer),
        "date_order": stamp(one.at),
        "client_order_ref": one.reference,
        "note": one.note or False,
        "order_line": _lines(one.lines, "product_uom_qty"),
    }


def _lead(one: Lead) -> dict[str, Any]:
    return {
        "name": one.name,
        "contact_name": one.person.name,
        "partner_name": one.company or False,
        "email_from": one.person.email,
        "phone": one.person.phone,
        "street": one.person.street,
        "zip": one.person.zip,
        "city": one.person.city,
        "description": one.text,
        "expected_revenue": one.revenue,
        "type": "opportunity",
    }


def _projects(hospital: Hospital) -> tuple[Table, ...]:
    stages = tuple(f"task_stage_{number}" for number in range(1, len(TASK_STAGES) + 1))
    return (
        Table(
            title="task stages",
            model="project.task.type",
            rows=tuple(
                Row(key=key, values={"name": name, "sequence": number, "user_id": False})
                for number, (key, name) in enumerate(zip(stages, TASK_STAGES, strict=True), start=1)
            ),
        ),
        Table(
            title="task tags",
            model="project.tags",
            rows=(Row(key="task_tag_ticket", values={"name": wards.TICKET}),),
        ),
        Table(
            title="projects",
            model="project.project",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "name": one.name,
                        "user_id": Ref(f"user_{one.manager}"),
                        "date_start": f"{one.start}",
                        "date": f"{one.end}",
                        "type_ids": Refs(stages),
                    },
                )
                for one in hospital.projects
            ),
        ),
        Table(
            title="tasks and tickets",
            model="project.task",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "name": one.name,
                        "project_id": Ref(one.project),
                        "description": one.text,
                        "date_deadline": stamp(one.deadline),
                        "partner_id": Ref(one.customer) if one.customer else False,
                        "tag_ids": Refs(("task_tag_ticket",) if one.tag else ()),
                        "stage_id": Ref(stages[number % len(stages)]),
                        "user_ids": Refs((f"user_{one.assigned}",)),
                    },
                )
                for number, one in enumerate(hospital.tasks)
            ),
        ),
    )


def _devices(hospital: Hospital) -> tuple[Table, ...]:
    return (
        Table(
            title="devices",
            model="maintenance.equipment",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "name": one.name,
                        "serial_no": one.serial,
                        "partner_id": Ref(one.vendor),
                        "cost": one.cost,
                        "effective_date": f"{one.bought}",
                    },
                )
                for one in hospital.equipment
            ),
        ),
        Table(
            title="maintenance requests",
            model="maintenance.request",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "name": one.name,
                        "equipment_id": Ref(one.equipment),
                        "description": one.text,
                        "request_date": f"{one.on}",
                    },
                )
                for one in hospital.repairs
            ),
        ),
    )


def _people(hospital: Hospital) -> tuple[Table, ...]:
    return (
        Table(
            title="appointments",
            model="calendar.event",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "name": one.name,
                        "start": stamp(one.start),
                        "stop": stamp(one.stop),
                        "location": one.place,
                        "description": one.text,
                        "partner_ids": Vias(((one.patient, "id"), (one.staff, "work_contact_id"))),
                    },
                )
                for one in hospital.appointments
            ),
            batch=50,
        ),
        Table(
            title="kinds of leave",
            model="hr.leave.type",
            rows=tuple(
                Row(
                    key=key,
                    values={
                        "name": name,
                        "requires_allocation": False,
                        "leave_validation_type": "hr",
                        "request_unit": "day",
                    },
                )
                for key, name in LEAVE_TYPES.items()
            ),
        ),
        Table(
            title="leaves",
            model="hr.leave",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "employee_id": Ref(one.staff),
                        "holiday_status_id": Ref("leave_type_sick" if one.sick else "leave_type_annual"),
                        "request_date_from": f"{one.first}",
                        "request_date_to": f"{one.last}",
                        "name": one.reason,
                    },
                )
                for one in hospital.leaves
            ),
            batch=50,
        ),
        Table(
            title="applicants",
            model="hr.applicant",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "partner_name": one.person.name,
                        "email_from": one.person.email,
                        "partner_phone": one.person.phone,
                        "job_id": Ref(one.job),
                        "salary_expected": one.expected,
                        "applicant_notes": one.text,
                    },
                )
                for one in hospital.applicants
            ),
        ),
        Table(
            title="expenses",
            model="hr.expense",
            rows=tuple(Row(key=one.key, values=_expense(one)) for one in hospital.expenses),
        ),
    )


def _expense(one: Expense) -> dict[str, Any]:
    values = {
        "name": one.name,
        "employee_id": Ref(one.staff),
        "product_id": Ref(one.product),
        "total_amount_currency": one.amount,
        "date": f"{one.on}",
        "description": one.text,
    }
    # Odoo's own buttons write mails to the manager; the state alone does not.
    return values if one.stage == "draft" else values | {"approval_state": one.stage}


def _paper(hospital: Hospital) -> tuple[Table, ...]:
    names = {one.key: (one.person.name, one.work_email) for one in hospital.staff}
    return (
        Table(
            title="chatter",
            model="mail.message",
            rows=tuple(Row(key=one.key, values=_note(one, *names[one.author])) for one in hospital.notes),
        ),
        Table(
            title="activities",
            model="mail.activity",
            rows=tuple(
                Row(
                    key=one.key,
                    values={
                        "res_model_id": ModelIdOf(one.about),
                        "res_id": Ref(one.about),
                        "activity_type_id": Xml(ACTIVITY_TYPES.get(one.kind, EMAIL_ACTIVITY)),
                        "user_id": Ref(f"user_{one.assigned}"),
                        "summary": one.summary,
                        "note": one.html,
                        "date_deadline": f"{one.due}",
                    },
                )
                for one in hospital.activities
            ),
        ),
        Table(
            title="files",
            model="ir.attachment",
            rows=tuple(Row(key=one.key, values=_file(one)) for one in hospital.files),
            batch=25,
        ),
    )


def _note(one: Note, author: str, address: str) -> dict[str, Any]:
    return {
        "model": ModelOf(one.about),
        "res_id": Ref(one.about),
        "body": one.html,
        "date": stamp(one.at),
        "message_type": "email" if one.mail else "comment",
        "subtype_id": Xml("mail.mt_comment" if one.mail else "mail.mt_note"),
        "author_id": Via(one.author, "work_contact_id"),
        "email_from": f'"{author}" <{address}>',
    }


def _file(one: File) -> dict[str, Any]:
    return {
        "name": one.name,
        "res_model": ModelOf(one.about),
        "res_id": Ref(one.about),
        "mimetype": MIME_TYPES[one.kind],
        "datas": Content(one),
    }
