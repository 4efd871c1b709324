"""From Pulumi's type tokens to Kubernetes kinds, and which tokens this plugin refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from toolchain.pulumi.kubernetes_plugin.errors import RefusedToken

OFFICIAL_PLUGIN: Final = "pulumi-resource-kubernetes"

# Components and clients that live inside the official plugin's binary (Helm's engine, kustomize's, its YAML parser).
REFUSED_MODULES: Final = ("yaml", "helm.sh", "kustomize")

# Kinds whose name ends in "Patch" or "List" without being Pulumi's patch or list form of another kind: none in
# Kubernetes 1.35; a custom resource may have one, so only tokens of built-in groups are judged by their ending.
_BUILT_IN_SUFFIX: Final = ".k8s.io"
_BUILT_IN_GROUPS: Final = frozenset({"", "apps", "batch", "autoscaling", "policy", "extensions"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Gvk:
    """A Kubernetes kind: API group ("" for core), version and kind."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """The `apiVersion` field of an object of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_built_in(self) -> bool:
        """Whether the API server itself defines the kind, so its schema is never a custom resource's."""
        return self.group in _BUILT_IN_GROUPS or self.group.endswith(_BUILT_IN_SUFFIX)

    @classmethod
    def of(cls, api_version: str, kind: str) -> Gvk:
        """Return the kind written as `apiVersion` and `kind`; `core/v1` means `v1`."""
        group, _, version = api_version.rpartition("/")
        return cls(group="" if group == "core" else group, version=version, kind=kind)


def gvk_of_token(token: str) -> Gvk:
    """Return the kind a type token names.

    Args:
        token: as the SDK registers it, e.g. `kubernetes:apps/v1:Deployment`.

    Raises:
        RefusedToken: for YAML, Helm, kustomize, list and patch types, and for a malformed token.
    """
    package, _, rest = token.partition(":")
    module, _, kind = rest.partition(":")
    family = module.split("/", 1)[0]
    if package != "kubernetes" or not kind:
        raise RefusedToken(f"{token!r} is not a Kubernetes resource type of the form kubernetes:<apiVersion>:<Kind>.")
    if family in REFUSED_MODULES:
        raise RefusedToken(
            f"{token} is not served by this stand-in plugin: the type runs inside the official {OFFICIAL_PLUGIN}. "
            f"Use typed resources or apiextensions.CustomResource, or install the official {OFFICIAL_PLUGIN}."
        )
    gvk = Gvk.of(module, kind)
    if gvk.is_built_in and kind.endswith("List"):
        raise RefusedToken(f"{token}: list kinds exist for YAML files only. Declare each object on its own.")
    if gvk.is_built_in and kind.endswith("Patch"):
        raise RefusedToken(
            f"{token}: patch resources are not served by this stand-in plugin. Own the whole object, or install the "
            f"official {OFFICIAL_PLUGIN}."
        )
    return gvk


def refuse_function(token: str) -> RefusedToken:
    """Return the error for a provider function: all of them belong to YAML, Helm or kustomize."""
    return RefusedToken(
        f"{token} is not served by this stand-in plugin: it runs inside the official {OFFICIAL_PLUGIN}. "
        f"Read the file in Python and declare typed resources, or install the official {OFFICIAL_PLUGIN}."
    )
