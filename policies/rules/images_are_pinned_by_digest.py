"""Images are named by their content, so that what was reviewed is what runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, Container, containers, pod_spec
from policies.resources import CNPG_CLUSTER, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import Node, doubt, require
from policies.verdicts import Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

# The image specification's digest grammar, restricted to the algorithm every registry and runtime must support.
_PINNED: Final = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
# Operators start other images named in their environment, as CloudNativePG does with OPERATOR_IMAGE_NAME.
_IMAGE_VARIABLE: Final = re.compile(r"(?:.*_)?IMAGE(?:_NAME)?")


def _is_pinned(value: object) -> bool:
    return isinstance(value, str) and _PINNED.fullmatch(value) is not None


def _pinned(node: Node, title: str) -> Iterator[Observation]:
    yield from require(node, _is_pinned, f"{title} is not pinned: {node.value or 'no image'} names no sha256 digest")


def _variables(container: Container) -> Iterator[Observation]:
    for variable in container.node.at("env").each():
        name = variable.at("name")
        if name.unknown:
            yield doubt(name)
        elif isinstance(name.value, str) and _IMAGE_VARIABLE.fullmatch(name.value):
            value = variable.at("value")
            if not value.absent:
                yield from _pinned(value, f"the image {container.title} starts itself ({name.value})")


def _pod(resource: Resource) -> Iterator[Observation]:
    for container in containers(resource):
        yield from _pinned(container.node.at("image"), f"the image of {container.title}")
        yield from _variables(container)
    for volume in pod_spec(resource).at("volumes").each():
        source = volume if volume.unknown else volume.at("image")
        if not source.absent:
            yield from _pinned(source.at("reference"), "the image mounted as a volume")


def _cluster(resource: Resource) -> Iterator[Observation]:
    spec = resource.properties.at("spec")
    catalogue = spec.at("imageCatalogRef")
    if catalogue.absent:
        yield from _pinned(spec.at("imageName"), "the PostgreSQL image")
    else:
        message = "the PostgreSQL image is chosen by a catalogue that can change without this resource"
        yield from require(catalogue, lambda _: False, message)
    for extension in spec.at("postgresql", "extensions").each():
        yield from _pinned(extension.at("image", "reference"), "the image of a PostgreSQL extension")


def check(resource: Resource, _: Context) -> Verdict:
    """Judge every image a resource makes the cluster run or mount.

    Args:
        resource: A resource that carries a pod, or a CloudNativePG cluster.

    Returns:
        Pass when each image is named with a sha256 digest.
    """
    return conclude(_cluster(resource) if resource.kind == CNPG_CLUSTER else _pod(resource))


RULE: Final = Rule(
    id="images-are-pinned-by-digest",
    title="Images are named by digest.",
    kinds=POD_KINDS | {CNPG_CLUSTER},
    check=check,
    severity="high",
    controls=("software-integrity",),
    remediation="Name the image as repository:tag@sha256:<digest>; a tag alone can be moved to other content.",
    evidence=(
        Evidence(source="update", shows="Every declared workload runs exactly the reviewed image."),
        Evidence(source="cluster", shows="Every workload that exists names its image by content."),
    ),
)
