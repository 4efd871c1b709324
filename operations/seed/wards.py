"""What every generated hospital has in common: departments, positions, products, devices and turns of phrase."""

from __future__ import annotations

DEPARTMENTS: tuple[tuple[str, str | None], ...] = (
    ("Direction", None),
    ("Medicine", "Direction"),
    ("Surgery", "Direction"),
    ("Emergency", "Direction"),
    ("Paediatrics", "Medicine"),
    ("Cardiology", "Medicine"),
    ("Oncology", "Medicine"),
    ("Maternity", "Surgery"),
    ("Radiology", "Direction"),
    ("Laboratory", "Direction"),
    ("Pharmacy", "Direction"),
    ("Finance", "Direction"),
    ("Human Resources", "Direction"),
    ("Technical Services", "Direction"),
)
"""Name and parent; a parent stands before its children."""

JOBS: dict[str, tuple[str, ...]] = {
    "Direction": ("Director", "Quality Manager"),
    "Medicine": ("Physician", "Nurse", "Care Assistant"),
    "Surgery": ("Surgeon", "Anaesthetist", "Theatre Nurse"),
    "Emergency": ("Emergency Physician", "Triage Nurse"),
    "Paediatrics": ("Paediatrician", "Children's Nurse"),
    "Cardiology": ("Cardiologist", "Cardiology Nurse"),
    "Oncology": ("Oncologist", "Oncology Nurse"),
    "Maternity": ("Obstetrician", "Midwife"),
    "Radiology": ("Radiologist", "Radiographer"),
    "Laboratory": ("Biologist", "Laboratory Technician"),
    "Pharmacy": ("Pharmacist", "Pharmacy Assistant"),
    "Finance": ("Accountant", "Billing Clerk"),
    "Human Resources": ("HR Officer",),
    "Technical Services": ("Biomedical Technician", "Facility Technician"),
}

SERVICES: tuple[tuple[str, str, str, float], ...] = (
    ("CONS-GEN", "General consultation", "Consultation générale", 30.0),
    ("CONS-CAR", "Cardiology consultation", "Consultation de cardiologie", 60.0),
    ("CONS-PED", "Paediatric consultation", "Consultation de pédiatrie", 45.0),
    ("CONS-ONC", "Oncology consultation", "Consultation d'oncologie", 70.0),
    ("ECG", "Electrocardiogram", "Électrocardiogramme", 42.5),
    ("ECHO", "Echocardiography", "Échocardiographie", 96.0),
    ("XRAY", "X-ray, two views", "Radiographie, deux incidences", 55.0),
    ("MRI", "Magnetic resonance imaging", "Imagerie par résonance magnétique", 310.0),
    ("CT", "Computed tomography", "Scanner", 240.0),
    ("LAB-BLOOD", "Complete blood count", "Numération formule sanguine", 18.2),
    ("LAB-HBA1C", "Glycated haemoglobin", "Hémoglobine glyquée", 14.6),
    ("WARD-DAY", "Day on the ward", "Journée d'hospitalisation", 480.0),
    ("ROOM-1", "Single room, a day", "Chambre particulière, par jour", 75.0),
    ("PHYSIO", "Physiotherapy session", "Séance de kinésithérapie", 38.0),
    ("BIRTH", "Delivery, without complications", "Accouchement, sans complication", 2450.0),
    ("SURG-DAY", "Outpatient surgery", "Chirurgie ambulatoire", 890.0),
)
"""Code, English and French name, price without tax."""

GOODS: tuple[tuple[str, str, str, float, float], ...] = (
    ("GLOVE-M", "Examination gloves, size M, 100", "Gants d'examen, taille M, 100", 9.9, 4.1),
    ("MASK-2R", "Surgical masks, 50", "Masques chirurgicaux, 50", 12.0, 5.2),
    ("SYR-10", "Syringes 10 ml, 100", "Seringues 10 ml, 100", 16.5, 8.0),
    ("IV-SET", "Infusion set", "Nécessaire à perfusion", 4.2, 1.9),
    ("SALINE", "Saline solution 0.9 %, 1 l", "Sérum physiologique 0,9 %, 1 l", 3.6, 1.5),
    ("CRUTCH", "Pair of crutches", "Paire de béquilles", 34.0, 15.0),
    ("SPLINT", "Wrist splint", "Attelle de poignet", 27.5, 11.4),
    ("BP-MON", "Blood pressure monitor", "Tensiomètre", 64.0, 31.0),
    ("GLUCO", "Blood glucose meter", "Lecteur de glycémie", 41.0, 19.5),
    ("DRESS", "Sterile dressings, 20", "Pansements stériles, 20", 11.8, 4.9),
)
"""Code, English and French name, price, cost."""

SOLD_TO_PATIENTS = ("CRUTCH", "SPLINT", "BP-MON", "GLUCO", "DRESS")

EXPENSES: tuple[tuple[str, str, str, float], ...] = (
    ("EXP-TRAIN", "Train ticket", "Billet de train", 74.0),
    ("EXP-HOTEL", "Hotel night", "Nuit d'hôtel", 112.0),
    ("EXP-MEAL", "Meal on duty", "Repas de garde", 17.5),
    ("EXP-CONG", "Congress fee", "Frais de congrès", 390.0),
)

TAGS = (
    "Diabetes",
    "Allergy: penicillin",
    "Chronic",
    "Outpatient",
    "VIP",
    "Interpreter needed",
    "Wheelchair",
    "Insurer",
)

DEVICES = (
    *("Infusion pump", "Ventilator", "Defibrillator", "Ultrasound scanner", "ECG recorder", "Patient monitor"),
    *("X-ray tube", "Autoclave", "Centrifuge", "Hospital bed", "Dialysis machine", "Incubator"),
)

FAULTS = ("Does not start", "Alarm without a reason", "Battery empty after minutes", "Display stays dark", "Leaks")

PROJECTS = (
    *("New radiology wing", "Electronic prescriptions", "Hand hygiene campaign", "Accreditation 2027"),
    *("Move of the maternity ward", "Patient portal"),
)

HELP_DESK = "Help desk"
"""Project of the tickets: the community edition has no help desk of its own."""

TICKET = "Ticket"

TASKS = (
    *("Collect the signatures", "Call the family", "Check the file", "Prepare the meeting", "Correct the invoice"),
    *("Answer the complaint", "Plan the transfer", "Order the missing parts", "Write the report", "Update the record"),
)

RELATIONS = ("mother", "father", "spouse", "son", "daughter", "legal guardian", "employer")

REASONS = ("Family matter", "Holidays", "Moving house", "Recovery days", "Training")

SICK_REASONS = ("Influenza", "Back pain, sick note handed in", "Surgery of {name}'s knee", "Care of a sick child")

INSURERS = ("Mutuelle des Deux Rives", "Assurance Santé Océane", "Northern Health Mutual", "Caisse Générale du Val")

CONSULTATIONS = (
    *("Consultation", "Follow-up", "Pre-operative visit", "Blood test", "X-ray", "Vaccination", "Physiotherapy"),
    *("Discharge talk", "Echocardiography"),
)

PHRASES: tuple[str, ...] = (
    "<p>Called <b>{name}</b> on {phone}: the appointment is confirmed. MRN {mrn}.</p>",
    "<p>{title} {family} (MRN {mrn}, born {birthday}) came with {relative}; results go to "
    '<a href="mailto:{email}">{email}</a>.</p>',
    "<p>Insurance card {insurance} of {name} checked. Lives at {street}, {zip} {city}.</p>",
    "<p>Rappel : {name}, né(e) le {birthday_fr}, tél. {phone}. Prévenir {relative} en cas de retard.</p>",
    "<div>Complaint of {name}:<blockquote>I waited two hours. Call me on {phone_plain}. {given}</blockquote></div>",
    "<p>Allergy noted for {given} {family}. Allergie à la pénicilline. Dossier n° {mrn}.</p>",
    "<ul><li>Patient: {family}, {given}</li><li>MRN: {mrn}</li><li>Tel: {phone}</li><li>Mail: {email}</li></ul>",
    "<p>Bonjour {title} {family},</p><p>votre facture a été envoyée à {email}.</p><p>Cordialement,<br/>{author}</p>",
    "<p>Moved to ward 3, bed 12. {relative} was told by {author}. NIR/INS {insurance}.</p>",
)
"""HTML texts that quote a person as people do: full name, family name first, title, number without blanks."""
