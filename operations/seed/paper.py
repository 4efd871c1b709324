"""What people write down about each other: chatter, activities, files. Every text quotes somebody."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

from operations.seed import wards
from operations.seed.model import Activity, File, FileKind, Note
from operations.seed.people import LAST_DAY

if TYPE_CHECKING:
    from operations.seed.business import Made
    from operations.seed.model import Guarantor, Patient, Staff, Vendor
    from operations.seed.people import Source

FILE_NAMES: dict[FileKind, str] = {
    FileKind.PDF: "Discharge letter {family} {mrn}.pdf",
    FileKind.PNG: "scan-{mrn}.png",
    FileKind.JPEG: "wound {given} {family}.jpg",
    FileKind.DOCX: "Report {name}.docx",
    FileKind.CSV: "measurements_{mrn}.csv",
    FileKind.TXT: "note {family}.txt",
}


class Paper:
    """Writes about the people and events of a hospital."""

    def __init__(
        self,
        source: Source,
        *,
        staff: tuple[Staff, ...],
        patients: tuple[Patient, ...],
        guarantors: tuple[Guarantor, ...],
        vendors: tuple[Vendor, ...],
        made: Made,
    ) -> None:
        self.source = source
        self.random = source.random
        self.staff, self.patients, self.vendors, self.made = staff, patients, vendors, made
        self.users = tuple(one for one in staff if one.login)
        self.payers = {guarantor.key: guarantor for guarantor in guarantors}

    def notes(self) -> tuple[Note, ...]:
        """Return the chatter: two entries a patient, one for every third order, task and request."""
        subjects = [(patient.key, patient) for patient in self.patients for _ in range(2)]
        for documents in (self.made.orders, self.made.tasks, self.made.repairs, self.made.leads):
            subjects += [(one.key, self.random.choice(self.patients)) for one in documents[::3]]
        return tuple(self._note(number, *subject) for number, subject in enumerate(subjects, start=1))

    def activities(self) -> tuple[Activity, ...]:
        """Return what is still to do, for every eighth patient and every tenth order."""
        subjects = [(patient.key, patient) for patient in self.patients[::8]]
        subjects += [(order.key, self.random.choice(self.patients)) for order in self.made.orders[::10]]
        return tuple(
            Activity(
                key=f"activity_{number:06d}",
                about=about,
                assigned=self.random.choice(self.users).key,
                kind=self.random.choice(("call", "todo", "email")),
                summary=f"Call {patient.person.name}",
                html=f"<p>{escape(patient.person.name)}, {patient.person.phone}, {patient.mrn}</p>",
                due=self.source.day(LAST_DAY, LAST_DAY + timedelta(days=60)),
            )
            for number, (about, patient) in enumerate(subjects, start=1)
        )

    def files(self) -> tuple[File, ...]:
        """Return files of every kind: on patients, on orders, on applicants and on vendors."""
        kinds = list(FileKind)
        chosen: list[tuple[str, Patient]] = [(patient.key, patient) for patient in self.patients[::3]]
        chosen += [(order.key, self.random.choice(self.patients)) for order in self.made.orders[::15]]
        found = [self._file(number, kinds[number % len(kinds)], *one) for number, one in enumerate(chosen, start=1)]
        for applicant in self.made.applicants:
            person = applicant.person
            found.append(
                File(
                    key=f"file_{len(found) + 1:06d}",
                    about=applicant.key,
                    name=f"CV {person.name}.pdf",
                    kind=FileKind.PDF,
                    text=(f"Curriculum vitae: {person.name}", f"Phone: {person.phone}", f"Mail: {person.email}"),
                    pages=self.random.randint(1, 3),
                )
            )
        return tuple(found)

    def _file(self, number: int, kind: FileKind, about: str, patient: Patient) -> File:
        person = patient.person
        image = kind in {FileKind.PNG, FileKind.JPEG}
        return File(
            key=f"file_{number:06d}",
            about=about,
            name=FILE_NAMES[kind]
            .format(name=person.name, given=person.given, family=person.family, mrn=patient.mrn)
            .replace("/", "-"),
            kind=kind,
            text=(
                f"Patient: {person.name}",
                f"MRN: {patient.mrn}",
                f"Born: {person.birthday:%d/%m/%Y}",
                f"Address: {person.street}, {person.zip} {person.city}".replace("\n", " "),
                f"Phone: {person.phone}",
                f"Mail: {person.email}",
                f"Insurance: {patient.insurance}",
                f"Seen by: {self.random.choice(self.staff).person.name}",
            ),
            width=self.random.choice((320, 640, 801)) if image else 0,
            height=self.random.choice((240, 480, 599)) if image else 0,
            pages=self.random.randint(1, 6) if kind is FileKind.PDF else 0,
            shade=self.random.randrange(256),
        )

    def _note(self, number: int, about: str, patient: Patient) -> Note:
        person, author = patient.person, self.random.choice(self.staff)
        payer = self.payers.get(patient.guarantor or "")
        relative = f"{payer.person.name} ({payer.relation})" if payer else "a neighbour"
        words = {
            "name": person.name,
            "given": person.given,
            "family": person.family,
            "title": "Mr" if person.sex == "male" else "Ms",
            "phone": person.phone,
            "phone_plain": "0" + person.phone.removeprefix("+33").replace(" ", ""),
            "email": person.email,
            "mrn": patient.mrn,
            "insurance": patient.insurance,
            "street": person.street,
            "zip": person.zip,
            "city": person.city,
            "birthday": f"{person.birthday:%d %B %Y}",
            "birthday_fr": f"{person.birthday:%d/%m/%Y}",
            "relative": relative,
            "author": author.person.name,
        }
        phrase = self.random.choice(wards.PHRASES)
        return Note(
            key=f"note_{number:06d}",
            about=about,
            author=author.key,
            at=self.source.moment(),
            html=phrase.format(**{name: escape(value) for name, value in words.items()}),
            mail=self.source.chance(0.2),
        )
