"""The kind of requests and its guard, deployed by the real engine through the stand-in plugin."""

from __future__ import annotations

import pytest

from infra.naming import SANDBOX_GUARD
from infra.plans.sandbox import CRD_NAME
from tests import declared

pytestmark = pytest.mark.live

PROGRAM = f"""
import sys
sys.path.insert(0, {str(declared.ROOT)!r})
from infra.components.sandbox import SandboxRequests, SandboxRequestsArgs
SandboxRequests("sandbox", SandboxRequestsArgs(), pulumi.ResourceOptions(providers=[provider]))
"""


def test_the_kind_comes_and_goes_with_its_guard_and_a_second_deployment_changes_nothing(project, control_plane):
    project.program(PROGRAM)
    assert set(project.up().changes) == {"create"}
    again = project.up()
    assert again.is_unchanged, again.changes
    assert control_plane.get("crd", CRD_NAME)["status"]["acceptedNames"]["kind"] == "SandboxRequest"
    assert control_plane.get("validatingadmissionpolicybinding", SANDBOX_GUARD)["spec"]["validationActions"] == ["Deny"]
    project.destroy()
    names = control_plane.kubectl(
        "get", "crd,validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name"
    )
    assert CRD_NAME not in names
    assert SANDBOX_GUARD not in names
