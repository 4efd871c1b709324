"""Types, names and owners."""

from __future__ import annotations

import pytest

from toolchain.pulumi.kubernetes_plugin import naming
from toolchain.pulumi.kubernetes_plugin.errors import NameRequired, RefusedToken
from toolchain.pulumi.kubernetes_plugin.server import _token
from toolchain.pulumi.kubernetes_plugin.tokens import gvk_of_token
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN


@pytest.mark.parametrize(
    ("token", "api_version", "kind"),
    [
        ("kubernetes:core/v1:Namespace", "v1", "Namespace"),
        ("kubernetes:apps/v1:Deployment", "apps/v1", "Deployment"),
        ("kubernetes:postgresql.cnpg.io/v1:Cluster", "postgresql.cnpg.io/v1", "Cluster"),
        ("kubernetes:v1:ConfigMap", "v1", "ConfigMap"),
        ("kubernetes:example.com/v1:WishList", "example.com/v1", "WishList"),
    ],
)
def test_a_token_names_a_kind(token, api_version, kind):
    gvk = gvk_of_token(token)
    assert (gvk.api_version, gvk.kind) == (api_version, kind)


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:yaml:ConfigFile",
        "kubernetes:yaml/v2:ConfigGroup",
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:helm.sh/v4:Chart",
        "kubernetes:kustomize/v2:Directory",
        "kubernetes:core/v1:ConfigMapPatch",
        "kubernetes:core/v1:ConfigMapList",
    ],
)
def test_types_that_live_inside_the_official_plugin_are_refused(token):
    with pytest.raises(RefusedToken):
        gvk_of_token(token)


@pytest.mark.parametrize("token", ["aws:s3:Bucket", "kubernetes", "kubernetes:core/v1"])
def test_a_token_of_another_form_is_refused(token):
    with pytest.raises(RefusedToken, match="not a Kubernetes resource type"):
        gvk_of_token(token)


def test_the_type_of_a_resource_inside_a_component_is_its_own():
    urn = "urn:pulumi:dev::careops::careops:environment:Boundary$kubernetes:core/v1:Namespace::boundary-namespace"
    assert _token(urn) == "kubernetes:core/v1:Namespace"


def named(inputs, old=None, **more):
    options = {"base": "web", "seed": b"seed", "proposal": None, **more}
    return naming.named(inputs, old or {}, **options)


def test_a_name_is_made_once_and_kept():
    first = named({"metadata": {"namespace": "a"}})
    name = first["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) == len("web-") + 8
    assert naming.is_autonamed(first)
    assert named({"metadata": {"namespace": "a"}}, first, seed=b"other")["metadata"]["name"] == name


def test_preview_and_update_agree_on_a_name():
    assert named({"metadata": {}}) == named({"metadata": {}})
    assert named({"metadata": {}}) != named({"metadata": {}}, seed=b"another")


def test_a_name_of_the_programs_own_stays():
    given = {"metadata": {"name": "mine"}}
    assert named(given) == given
    assert named({"metadata": {"name": UNKNOWN}}) == {"metadata": {"name": UNKNOWN}}
    assert named({"metadata": UNKNOWN}) == {"metadata": UNKNOWN}


def test_the_engines_autonaming_settings_are_followed():
    assert named({"metadata": {}}, proposal=("enforce", "web-prod"))["metadata"]["name"] == "web-prod"
    with pytest.raises(NameRequired, match=r"metadata\.name"):
        named({"metadata": {}}, proposal=("disable", ""))


def test_ids_are_the_official_ones():
    assert naming.identifier({"metadata": {"namespace": "a", "name": "b"}}) == "a/b"
    assert naming.identifier({"metadata": {"name": "b"}}) == "b"
    assert naming.split_identifier("a/b") == ("a", "b")
    assert naming.split_identifier("b") == (None, "b")


def test_a_field_manager_belongs_to_one_resource_of_one_stack_in_one_backend():
    managers = {
        naming.field_manager("urn:a", "file:///one"),
        naming.field_manager("urn:b", "file:///one"),
        naming.field_manager("urn:a", "file:///two"),
    }
    assert len(managers) == 3
    assert all(manager.startswith("pulumi-kubernetes-") for manager in managers)
    assert naming.field_manager("urn:a", "x") == naming.field_manager("urn:a", "x")
