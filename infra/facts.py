"""What the cluster is, as `state/facts.json` records it; written by operations, only read here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.fields import Cidr, Port  # noqa: TC001 - pydantic reads these annotations at run time
from infra.problems import Problem, SettingsError, from_validation

FACTS_VARIABLE = "CAREOPS_FACTS"
_PINNED = re.compile(r"^[^@\s]+:[^@\s]+@sha256:[0-9a-f]{64}$")


class _Facts(BaseModel):
    # A newer writer may know more than this reader needs: additions are ignored, what is needed is strict.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class ApiServer(_Facts):
    """Where pods reach the API server: its endpoint, since NetworkPolicy judges the address after translation."""

    cidrs: tuple[Cidr, ...] = Field(min_length=1, description="The endpoint's addresses.")
    port: Port = Field(description="The endpoint's port.")


class Dns(_Facts):
    """The cluster's DNS pods."""

    namespace: str = Field(min_length=1, description="Namespace of the DNS pods.")
    labels: dict[str, str] = Field(min_length=1, description="Labels of the DNS pods.")


class StorageClasses(_Facts):
    """Names of the storage classes."""

    block: str = Field(min_length=1, description="Class for volumes of one node.")
    shared: str = Field(min_length=1, description="Class for volumes several nodes mount.")


class ClusterFacts(_Facts):
    """What the cluster is."""

    schema_: Literal[1] = Field(alias="schema", description="Version of this file's form.")
    kind: Literal["embedded", "existing"] = Field(description="Whether careops runs the cluster.")
    context: str = Field(min_length=1, description="Context in the kubeconfig.")
    api_server: ApiServer = Field(description="Where pods reach the API server.")
    node_cidrs: tuple[Cidr, ...] = Field(min_length=1, description="Addresses of the nodes.")
    node_count: int = Field(ge=1, description="How many nodes there are.")
    pod_cidrs: tuple[Cidr, ...] = Field(default=(), description="Addresses of pods, where known.")
    dns: Dns = Field(description="The DNS pods.")
    storage_classes: StorageClasses = Field(description="Names of the storage classes.")
    images: dict[str, str] = Field(description="Images by role, each pinned by digest.")
    manifests: dict[str, str] = Field(default_factory=dict, description="Paths of third-party manifests by name.")


ENVIRONMENT_IMAGES = ("odoo", "baseline-standard", "baseline-demo", "postgresql", "edge", "refresh")
PLATFORM_IMAGES = ("cloudnative-pg",)
_REQUIRED_IMAGES = (*ENVIRONMENT_IMAGES, *PLATFORM_IMAGES)
_AGAIN = "Run `careops up`, which writes it from the cluster it starts or is given."


def facts_path(root: Path) -> Path:
    """Return where the facts are: `$CAREOPS_FACTS`, or `.careops/facts.json` in the checkout."""
    given = os.environ.get(FACTS_VARIABLE)
    return Path(given) if given else root / ".careops" / "facts.json"


def load_facts(path: Path) -> ClusterFacts:
    """Read and check the facts.

    Raises:
        SettingsError: The file is missing, is not JSON, or lacks something; lists every problem.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"the cluster's facts cannot be read: {error.strerror}"
        raise SettingsError([Problem(path=str(path), message=message, action=_AGAIN)]) from error
    return parse_facts(text, source=path.name)


def parse_facts(text: str, *, source: str = "facts.json") -> ClusterFacts:
    """Check the facts' text.

    Raises:
        SettingsError: Lists every problem.
    """
    try:
        facts = ClusterFacts.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(from_validation(error, ClusterFacts, source)) from error
    problems = list(_image_problems(facts.images, source))
    if problems:
        raise SettingsError(problems)
    return facts


def _image_problems(images: dict[str, str], source: str) -> list[Problem]:
    problems = [
        Problem(path=f"{source}: images.{role}", message="is missing", action=_AGAIN)
        for role in _REQUIRED_IMAGES
        if role not in images
    ]
    for role, reference in images.items():
        if not _PINNED.match(reference):
            message = f"{reference!r} is not pinned: what runs could change without a review"
            action = "Name it as repository:tag@sha256:digest."
            problems.append(Problem(path=f"{source}: images.{role}", message=message, action=action))
    return problems
