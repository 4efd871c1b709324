"""The controls that rules serve, with their citations.

HIPAA: 45 CFR Part 164 Subpart C (Security Rule). NIS2: Directive (EU) 2022/2555, Article 21(2). ISO: ISO/IEC 27001:2022
Annex A. A mapping says that the control contributes to the requirement, never that it fulfils it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HIPAA: Final[Mapping[str, str]] = {
    "164.306(a)(1)": "Confidentiality, integrity and availability of all ePHI",
    "164.308(a)(1)(ii)(A)": "Risk analysis",
    "164.308(a)(1)(ii)(B)": "Risk management",
    "164.308(a)(3)(i)": "Workforce security",
    "164.308(a)(4)(i)": "Information access management",
    "164.308(a)(4)(ii)(C)": "Access establishment and modification",
    "164.308(a)(5)(ii)(B)": "Protection from malicious software",
    "164.308(a)(5)(ii)(D)": "Password management",
    "164.308(a)(8)": "Evaluation",
    "164.312(a)(1)": "Access control",
    "164.312(a)(2)(iv)": "Encryption and decryption",
    "164.312(c)(1)": "Integrity",
    "164.312(d)": "Person or entity authentication",
    "164.312(e)(1)": "Transmission security",
    "164.312(e)(2)(i)": "Integrity controls",
    "164.312(e)(2)(ii)": "Encryption",
    "164.316(b)(1)(ii)": "Documentation of actions and assessments",
}
"""Citations in use and their headings in the regulation."""

NIS2: Final[Mapping[str, str]] = {
    "21(2)(a)": "Policies on risk analysis and information system security",
    "21(2)(c)": "Business continuity",
    "21(2)(d)": "Supply chain security",
    "21(2)(e)": "Security in acquisition, development and maintenance",
    "21(2)(f)": "Assessing the effectiveness of measures",
    "21(2)(h)": "Cryptography and encryption",
    "21(2)(i)": "Access control and asset management",
}
"""Points of Article 21(2) in use."""

ISO27001: Final[Mapping[str, str]] = {
    "A.5.12": "Classification of information",
    "A.5.13": "Labelling of information",
    "A.5.17": "Authentication information",
    "A.5.36": "Compliance with policies, rules and standards",
    "A.8.2": "Privileged access rights",
    "A.8.6": "Capacity management",
    "A.8.7": "Protection against malware",
    "A.8.19": "Installation of software on operational systems",
    "A.8.20": "Networks security",
    "A.8.22": "Segregation of networks",
    "A.8.24": "Use of cryptography",
    "A.8.31": "Separation of development, test and production environments",
}
"""Annex A controls in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """Something the organisation promises, that rules check.

    Attributes:
        id: Short name, stable.
        title: The promise as one sentence.
        hipaa: Citations, keys of `HIPAA`; never empty.
        nis2: Points of Article 21(2), keys of `NIS2`.
        iso27001: Annex A controls, keys of `ISO27001`.
    """

    id: str
    title: str
    hipaa: tuple[str, ...]
    nis2: tuple[str, ...] = ()
    iso27001: tuple[str, ...] = ()


_TABLE: Final = (
    Control(
        id="least-privilege",
        title="Workloads hold no more privilege than they need.",
        hipaa=("164.312(a)(1)", "164.308(a)(3)(i)", "164.308(a)(4)(ii)(C)"),
        nis2=("21(2)(i)",),
        iso27001=("A.8.2",),
    ),
    Control(
        id="software-integrity",
        title="What runs is what was reviewed, and it cannot change itself.",
        hipaa=("164.312(c)(1)", "164.308(a)(5)(ii)(B)"),
        nis2=("21(2)(d)", "21(2)(e)"),
        iso27001=("A.8.19", "A.8.7"),
    ),
    Control(
        id="capacity-isolation",
        title="No workload can take the machine from the others.",
        hipaa=("164.306(a)(1)", "164.308(a)(1)(ii)(B)"),
        nis2=("21(2)(c)",),
        iso27001=("A.8.6",),
    ),
    Control(
        id="network-isolation",
        title="Workloads reach only what they were allowed to reach.",
        hipaa=("164.312(e)(1)", "164.312(a)(1)", "164.308(a)(4)(i)"),
        nis2=("21(2)(i)",),
        iso27001=("A.8.20", "A.8.22"),
    ),
    Control(
        id="environment-separation",
        title="A change reaches the environment it was meant for, and no other.",
        hipaa=("164.308(a)(4)(ii)(C)", "164.312(a)(1)"),
        nis2=("21(2)(e)",),
        iso27001=("A.8.31",),
    ),
    Control(
        id="encryption-in-transit",
        title="Data moves only encrypted, between parties that proved who they are.",
        hipaa=("164.312(e)(1)", "164.312(e)(2)(i)", "164.312(e)(2)(ii)", "164.312(d)"),
        nis2=("21(2)(h)",),
        iso27001=("A.8.24",),
    ),
    Control(
        id="data-classification",
        title="Everything that holds data says which data it may hold.",
        hipaa=("164.308(a)(1)(ii)(A)", "164.308(a)(4)(i)"),
        nis2=("21(2)(i)",),
        iso27001=("A.5.12", "A.5.13"),
    ),
    Control(
        id="credential-protection",
        title="Credentials are stored encrypted and shown to nobody who does not need them.",
        hipaa=("164.312(a)(2)(iv)", "164.312(d)", "164.308(a)(5)(ii)(D)"),
        nis2=("21(2)(h)",),
        iso27001=("A.5.17", "A.8.24"),
    ),
    Control(
        id="managed-exceptions",
        title="Every exception has a reason, an approver and an end.",
        hipaa=("164.308(a)(8)", "164.316(b)(1)(ii)"),
        nis2=("21(2)(a)", "21(2)(f)"),
        iso27001=("A.5.36",),
    ),
)

CONTROLS: Final[Mapping[str, Control]] = {control.id: control for control in _TABLE}
"""Every control by id."""
