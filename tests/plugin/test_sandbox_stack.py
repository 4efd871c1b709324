"""The kind of requests and the guards, deployed by the real engine through the stand-in plugin."""

from __future__ import annotations

import pytest

from infra.naming import SANDBOX_GUARD, refresh_guard
from infra.plans.sandbox import CRD_NAME
from tests import declared

pytestmark = pytest.mark.live

PROGRAM = f"""
import sys
sys.path.insert(0, {str(declared.ROOT)!r})
from infra.components.sandbox import SandboxRequests, SandboxRequestsArgs
SandboxRequests("sandbox", SandboxRequestsArgs(), pulumi.ResourceOptions(providers=[provider]))
"""
HOURS = f"""
import sys
sys.path.insert(0, {str(declared.ROOT)!r})
from infra.components.refresh_hours import RefreshHours, RefreshHoursArgs
from infra.model import Freeze
from infra.naming import Naming
from datetime import date
freezes = (Freeze(first_day=date(2026, 12, 21), last_day=date(2027, 1, 3), reason="Year's end, 'closing'"),)
args = RefreshHoursArgs(
    naming=Naming(site="southside", environment="training"), requests=NS, freezes=freezes, time_zone="Europe/Paris"
)
RefreshHours("refresh-hours", args, pulumi.ResourceOptions(providers=[provider]))
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


def test_what_keeps_refreshes_out_of_class_hours_is_stored_as_declared_and_goes_with_training(project, control_plane):
    project.program(HOURS)
    assert set(project.up().changes) == {"create"}
    assert project.up().is_unchanged
    binding = control_plane.get("validatingadmissionpolicybinding", refresh_guard("southside", "classes"))["spec"]
    assert binding["validationActions"] == ["Deny"]
    # An empty selector is every request; one that got lost on the way would be refused, or select nothing.
    assert binding["paramRef"]["selector"] == {}
    policy = control_plane.get("validatingadmissionpolicy", refresh_guard("southside", "freezes"))
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy.get("status", {}).get("typeChecking", {}).get("expressionWarnings") is None
    project.destroy()
    names = control_plane.kubectl("get", "validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")
    assert "southside" not in names
