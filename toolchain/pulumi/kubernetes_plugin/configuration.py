"""The provider's configuration, and the connection it leads to."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from toolchain.pulumi.kubernetes_plugin.errors import BadConfiguration
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_YAML: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Flags and the variable each falls back to, as the official plugin names them.
_FLAGS: Final = {
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    "skipUpdateUnreachable": "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
}
_UNSERVED: Final = {
    "renderYamlToDirectory": "writing YAML instead of changing a cluster",
    "alwaysRender": "writing YAML instead of changing a cluster",
    "helmReleaseSettings": "Helm",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderConfig:
    """What the program says about the cluster.

    Attributes:
        kubeconfig: path or contents; "" means the usual places.
        context: context of the kubeconfig; "" means its current one.
        cluster: cluster of the kubeconfig instead of the context's.
        namespace: where objects without a namespace go; "" means the context's, or `default`.
        delete_unreachable: forget objects of a cluster that does not answer.
        skip_update_unreachable: leave objects of a cluster that does not answer as they are.
        mutable_config_maps: change a ConfigMap's data in place instead of replacing it.
        mutable_secrets: change a Secret's data in place instead of replacing it.
        patch_force: take over fields that other managers own.
        upsert: take over objects that already exist.
    """

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    patch_force: bool = False
    upsert: bool = False


def parse(settings: Mapping[str, Any], environ: Mapping[str, str]) -> ProviderConfig:
    """Return the configuration that provider settings and environment amount to.

    Raises:
        BadConfiguration: for a setting this plugin does not serve, or one that is not what it must be.
    """
    values = {key: item.value if isinstance(item, Secret) else item for key, item in settings.items()}
    for name, purpose in _UNSERVED.items():
        if _is_set(values.get(name)):
            raise BadConfiguration(
                f"provider setting {name} is not served by this stand-in plugin ({purpose}). "
                "Remove it, or install the official pulumi-resource-kubernetes."
            )
    if _flag(values, "enableServerSideApply", environ.get("PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", "true")) is False:
        raise BadConfiguration(
            "provider setting enableServerSideApply: false is not served by this stand-in plugin: it only knows "
            "server-side apply. Remove it, or install the official pulumi-resource-kubernetes."
        )
    flags = {name: _flag(values, name, environ.get(variable, "")) for name, variable in _FLAGS.items()}
    return ProviderConfig(
        kubeconfig=_text(values, "kubeconfig"),
        context=_text(values, "context"),
        cluster=_text(values, "cluster"),
        namespace=_text(values, "namespace"),
        delete_unreachable=flags["deleteUnreachable"],
        skip_update_unreachable=flags["skipUpdateUnreachable"],
        mutable_config_maps=flags["enableConfigMapMutable"],
        mutable_secrets=flags["enableSecretMutable"],
        patch_force=flags["enablePatchForce"],
        upsert=flags["upsertExistingObjects"],
    )


def _is_set(value: Any) -> bool:
    return value is not None and value is not UNKNOWN and value not in ("", "false", False, {}, "{}")


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or value is UNKNOWN:
        return ""
    if not isinstance(value, str):
        raise BadConfiguration(f"provider setting {name} must be text, not {type(value).__name__}.")
    return value


def _flag(values: Mapping[str, Any], name: str, fallback: str) -> bool:
    value = values.get(name)
    # The SDKs send booleans as JSON text.
    if value is None or value is UNKNOWN or value == "":
        value = fallback
    if value in (True, "true", "True", "1"):
        return True
    if value in (False, "false", "False", "0", ""):
        return False
    raise BadConfiguration(f"provider setting {name} must be true or false, not {value!r}.")


def kubeconfig_document(config: ProviderConfig, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the kubeconfig to use as data with absolute paths, or None inside a cluster.

    Raises:
        BadConfiguration: when there is none, or it names something that is not there.
    """
    given = config.kubeconfig
    if "\n" in given or given.lstrip().startswith("{"):
        return _selected(_parsed(given, "the kubeconfig in the provider's settings"), config)
    places = given or environ.get("KUBECONFIG", "")
    if not places:
        usual = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
        if usual.exists():
            places = str(usual)
        elif (_IN_CLUSTER / "token").exists():
            return None
        else:
            raise BadConfiguration(
                f"no kubeconfig: the provider has none, KUBECONFIG is not set and {usual} does not exist. "
                "Set KUBECONFIG, or the provider's kubeconfig setting, to a kubeconfig file."
            )
    return _selected(_merged([Path(place).expanduser() for place in places.split(os.pathsep) if place]), config)


def _merged(files: list[Path]) -> dict[str, Any]:
    present = [file for file in files if file.exists()]
    if not present:
        names = ", ".join(map(str, files))
        raise BadConfiguration(f"kubeconfig {names} does not exist. Start the cluster first, or correct the path.")
    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": [], "current-context": ""}
    for file in present:
        document = _parsed(file.read_text(encoding="utf-8"), f"kubeconfig {file}")
        _make_absolute(document, file.resolve().parent)
        for section in ("clusters", "contexts", "users"):
            known = {entry["name"] for entry in merged[section]}
            merged[section] += [entry for entry in document.get(section) or [] if entry["name"] not in known]
        merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
    return merged


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_YAML)  # noqa: S506 - a safe loader, the C one where there is one
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{where} is not YAML: {error}. Correct it.") from error
    if not isinstance(document, dict) or not document.get("clusters"):
        raise BadConfiguration(f"{where} is not a kubeconfig: it lists no cluster. Correct it.")
    return document


def _make_absolute(document: dict[str, Any], base: Path) -> None:
    files = {"clusters": ("cluster", ["certificate-authority"])}
    files["users"] = ("user", ["client-certificate", "client-key", "tokenFile"])
    for section, (key, names) in files.items():
        for entry in document.get(section) or []:
            for name in names:
                if value := (entry.get(key) or {}).get(name):
                    entry[key][name] = str(base / value)


def _selected(document: dict[str, Any], config: ProviderConfig) -> dict[str, Any]:
    contexts = {entry["name"]: entry.get("context") or {} for entry in document.get("contexts") or []}
    chosen = config.context or document.get("current-context") or ""
    if chosen not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise BadConfiguration(f"the kubeconfig has no context {chosen!r} (it has: {known}). Correct the context.")
    if config.cluster:
        clusters = sorted(entry["name"] for entry in document["clusters"])
        if config.cluster not in clusters:
            raise BadConfiguration(f"the kubeconfig has no cluster {config.cluster!r} (it has: {', '.join(clusters)}).")
        contexts[chosen]["cluster"] = config.cluster
    return {**document, "current-context": chosen}


def active(document: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the chosen context of a kubeconfig with its cluster's settings under `server…`; {} inside a cluster."""
    if document is None:
        return {}
    chosen = document["current-context"]
    context = next(entry["context"] for entry in document["contexts"] if entry["name"] == chosen)
    cluster = next((item for item in document["clusters"] if item["name"] == context.get("cluster")), None)
    if cluster is None:
        raise BadConfiguration(f"context {chosen!r} names cluster {context.get('cluster')!r}, which is not there.")
    return {**context, "settings": cluster.get("cluster") or {}}
