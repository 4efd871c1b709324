"""The PostgreSQL operator's published manifest, with our image, size and labels in it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from infra import naming
from infra.naming import common_labels
from infra.plans.pods import resource_requirements
from infra.problems import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infra.model import Resources

MANIFEST = "cloudnative-pg"
OPERATOR_IMAGE_VARIABLE = "OPERATOR_IMAGE_NAME"
# The operator reads every environment's Secrets and may enter prod's database: the strictest class is its class.
CLASSIFICATION: naming.DataClassification = "phi"
# Kinds the manifest holds. Another one means another release, which someone has to look at first.
KINDS = (
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "Service",
    "Deployment",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)

Document = dict[str, Any]


def restricted_labels() -> dict[str, str]:
    """Return the labels that make a namespace admit only pods of Pod Security `restricted`, and say so in the log."""
    modes = ("enforce", "audit", "warn")
    return {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes} | {
        f"pod-security.kubernetes.io/{mode}-version": "latest" for mode in modes
    }


def read_manifest(path: Path) -> tuple[Document, ...]:
    """Read the published manifest.

    Raises:
        SettingsError: It cannot be read, or holds a kind of object this release's manifest does not have.
    """
    again = "Run `careops up`, which takes it from the operator's release."
    try:
        loaded = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=_loader()))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError([Problem(path=str(path), message=f"cannot be read: {error}", action=again)]) from error
    documents = tuple(document for document in loaded if document)
    unknown = sorted({str(document.get("kind")) for document in documents} - set(KINDS))
    if unknown or not documents:
        message = f"holds {', '.join(unknown) or 'nothing'}, which the operator's manifest is not known to hold"
        action = "Use the release this platform was made for, or extend infra/plans/operator.py."
        raise SettingsError([Problem(path=str(path), message=message, action=action)])
    return documents


def plan_operator(documents: Iterable[Document], image: str, resources: Resources) -> tuple[Document, ...]:
    """Return the manifest's objects as we run them."""
    return tuple(_adjusted(document, image, resources) for document in documents)


def _adjusted(document: Document, image: str, resources: Resources) -> Document:
    planned = copy.deepcopy(document)
    metadata = planned["metadata"]
    metadata["labels"] = {**_labels(), **metadata.get("labels", {})}
    if planned["kind"] == "Namespace":
        metadata["labels"] |= restricted_labels()
    if planned["kind"] == "Deployment":
        _adjust_deployment(planned, image, resources)
    return planned


def _labels() -> dict[str, str]:
    return {**common_labels(naming.OPERATOR_APP, "operator"), naming.CLASSIFICATION_LABEL: CLASSIFICATION}


def _adjust_deployment(deployment: Document, image: str, resources: Resources) -> None:
    template = deployment["spec"]["template"]
    template["metadata"]["labels"] = {**_labels(), **template["metadata"].get("labels", {})}
    pod = template["spec"]
    pod["enableServiceLinks"] = False
    pod["priorityClassName"] = naming.priority_class("platform")
    for volume in pod["volumes"]:
        if "emptyDir" in volume:
            volume["emptyDir"] = {"sizeLimit": "256Mi"}
    for container in pod["containers"]:
        container["image"] = image
        container["imagePullPolicy"] = "IfNotPresent"
        container["resources"] = resource_requirements(resources)
        for variable in container["env"]:
            # The operator starts instances' init containers from its own image, by this name.
            if variable["name"] == OPERATOR_IMAGE_VARIABLE:
                variable["value"] = image


def _loader() -> type[yaml.SafeLoader]:
    # 1.2 MB of YAML: libyaml reads it in a fifth of the time, where PyYAML was built with it.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
