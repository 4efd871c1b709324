"""Odoo's attachments on a claim that serves one node or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import SKIP_AWAIT, known_after, metadata
from infra.naming import type_token

if TYPE_CHECKING:
    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class FilestoreArgs:
    """Arguments of `Filestore`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        size: Size of the claim.
        storage_class: Its storage class.
        access_mode: Whether several nodes mount it.
        protected: Whether Pulumi refuses to delete it.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    size: str
    storage_class: str
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"]
    protected: bool


class Filestore(pulumi.ComponentResource):
    """Claim the volume that holds what users attach.

    Creates a PersistentVolumeClaim. Implements 45 CFR 164.312(c)(1), integrity.
    """

    claim: pulumi.Output[str]
    """Name of the claim."""

    def __init__(self, name: str, args: FilestoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("storage", "Filestore"), name, None, opts)
        claim = kubernetes.core.v1.PersistentVolumeClaim(
            f"{name}-claim",
            metadata=metadata(
                names.FILESTORE,
                args.namespace,
                args.naming.labels(names.FILESTORE, "storage"),
                # A class that binds on first use leaves the claim pending until the migration's pod mounts it.
                SKIP_AWAIT,
            ),
            spec={
                "access_modes": [args.access_mode],
                "storage_class_name": args.storage_class,
                "resources": {"requests": {"storage": args.size}},
            },
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        self.claim = known_after(names.FILESTORE, claim)
        self.register_outputs({"claim": self.claim})
