"""What every component needs to declare objects: metadata, and names that arrive only once something stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# An object on which a program's other objects do not wait for its status; the reason stands where it is used.
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


def metadata(
    name: str,
    namespace: pulumi.Input[str] | None,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> kubernetes.meta.v1.ObjectMetaArgs:
    """Return an object's metadata; no namespace for what belongs to the whole cluster."""
    return kubernetes.meta.v1.ObjectMetaArgs(
        name=name, namespace=namespace, labels=labels, annotations=annotations or None
    )


def known_after(value: str, *resources: pulumi.Resource) -> pulumi.Output[str]:
    """Return a name fixed by convention as an output that depends on the resources it stands for.

    Whatever takes it is created after them and deleted before them. It is built on their URNs, which Pulumi knows in
    a preview too, so that the preview and the policies see the name and not an unknown.
    """
    urns: Sequence[pulumi.Output[str]] = [resource.urn for resource in resources]
    return pulumi.Output.all(*urns).apply(lambda _: value)
