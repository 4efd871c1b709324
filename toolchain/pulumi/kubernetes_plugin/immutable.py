"""Fields the API server never changes in place: a new value means a new object.

The table is the official plugin's (its `diff.go`), so that the same edit replaces with either plugin; paths that only
repeat a longer prefix are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolchain.pulumi.kubernetes_plugin.values import dig

if TYPE_CHECKING:
    from toolchain.pulumi.kubernetes_plugin.tokens import Gvk

type_paths = tuple[tuple[str, ...], ...]

ANY_ITEM: Final = "*"
IDENTITY: Final = (("metadata", "name"), ("metadata", "namespace"))


def _under(prefix: tuple[str, ...], *fields: str) -> type_paths:
    return tuple((*prefix, field) for field in fields)


_SELECTOR: Final = _under(("spec",), "selector")
_JOB: Final = _under(("spec",), "completions", "parallelism", "selector", "template")
_STATEFUL_SET: Final = _under(
    ("spec",), "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates"
)
_ROLE_BINDING: Final = (("roleRef",),)
_STORAGE_CLASS: Final = (("parameters",), ("provisioner",))
_CLAIM: Final = _under(("spec",), "accessModes", "selector", "storageClassName", "volumeName")
_VOLUME: Final = _under(
    ("spec",),
    *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker"),
    *("gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume"),
    *("quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
)
_CONTAINER_FIELDS: Final = (
    *("args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe"),
    *("resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy"),
    *("tty", "volumeDevices", "volumeMounts", "workingDir"),
)
_POD: Final = (
    *_under(
        ("spec",),
        *("affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases"),
        *("hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead"),
        *("preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName"),
        *("schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace"),
        *("subdomain", "terminationGracePeriodSeconds", "volumes"),
    ),
    *_under(("spec", "containers", ANY_ITEM), *_CONTAINER_FIELDS),
    *_under(("spec", "initContainers", ANY_ITEM), *_CONTAINER_FIELDS),
)

_BY_KIND: Final[dict[tuple[str, str], type_paths]] = {
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "StatefulSet"): _STATEFUL_SET,
    ("batch", "Job"): _JOB,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _ROLE_BINDING,
    ("rbac.authorization.k8s.io", "RoleBinding"): _ROLE_BINDING,
    ("storage.k8s.io", "StorageClass"): _STORAGE_CLASS,
    ("", "PersistentVolume"): _VOLUME,
    ("", "PersistentVolumeClaim"): _CLAIM,
    ("", "Pod"): _POD,
    ("", "ResourceQuota"): _under(("spec",), "scopes"),
    ("", "Service"): _under(("spec",), "clusterIP"),
}


def immutable_paths(
    gvk: Gvk, inputs: dict[str, object], *, mutable_config_maps: bool, mutable_secrets: bool
) -> type_paths:
    """Return the paths whose change replaces the object.

    Args:
        gvk: the object's kind.
        inputs: its new inputs: `immutable: true` makes the data of a ConfigMap or Secret immutable.
        mutable_config_maps: the provider's `enableConfigMapMutable`; off, a change of data replaces (the default).
        mutable_secrets: the provider's `enableSecretMutable`; likewise.
    """
    frozen = dig(inputs, "immutable") is True
    if gvk.group == "" and gvk.kind == "ConfigMap":
        return IDENTITY if mutable_config_maps and not frozen else (*IDENTITY, ("binaryData",), ("data",))
    if gvk.group == "" and gvk.kind == "Secret":
        kind_of_secret = (*IDENTITY, ("type",))
        return kind_of_secret if mutable_secrets and not frozen else (*kind_of_secret, ("stringData",), ("data",))
    return (*IDENTITY, *_BY_KIND.get((gvk.group, gvk.kind), ()))
