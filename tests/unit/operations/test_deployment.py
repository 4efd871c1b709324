from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from operations.deployment import (
    Progress,
    count_resources,
    deploy,
    deployed_record,
    describe,
    destroy,
    existing,
    unprotect,
    write_deployed,
)
from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.session import open_session
from operations.translate import known
from toolchain.pulumi.events import Phase, PolicyViolation, ResourceEvent
from toolchain.pulumi.runner import DeploymentFailed, Result


def result(command: str, **changes: int) -> Result:
    return Result(command=command, stack="dev", changes=changes, seconds=1.0)


@dataclass
class Engine:
    """A runner that answers as told."""

    folder: Path
    plan: Result = field(default_factory=lambda: result("preview", same=40))
    fail: Exception | None = None
    program: str = "true"
    environ: dict[str, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)

    def preview(self, _stack, *, policy_pack, refresh=False):
        self.did.append(f"preview {policy_pack.name}" + (" refresh" if refresh else ""))
        return self.plan

    def up(self, _stack, *, policy_pack, preview, refresh, **_options):
        self.did.append(f"up {policy_pack.name} preview={preview} refresh={refresh}")
        if self.fail:
            raise self.fail
        return result("up", create=3, same=37)

    def stacks(self):
        return ["dev"]

    def recover(self, _stack):
        self.did.append("recover")
        return []

    def destroy(self, _stack, *, remove, **_options):
        self.did.append(f"destroy remove={remove}")


@pytest.fixture
def session(tmp_path):
    return open_session([], {"HOME": str(tmp_path), "CAREOPS_STATE": str(tmp_path / "state")})


@pytest.fixture
def engine(tmp_path):
    return Engine(folder=tmp_path)


def test_a_first_deployment_is_judged_by_the_policy_pack_before_anything_is_touched(session, engine, shown):
    assert deploy(session, "dev", shown, pulumi=engine) == "3 create"
    assert engine.did == ["up policies preview=True refresh=False"]
    assert deployed_record(session.paths.state, "dev").is_file()


def test_an_unchanged_stack_costs_one_preview(session, engine, shown):
    write_deployed(deployed_record(session.paths.state, "dev"))
    assert deploy(session, "dev", shown, pulumi=engine) == "unchanged"
    assert engine.did == ["preview policies"]


def test_a_changed_stack_is_updated_without_a_second_preview_but_with_the_policy_pack(session, engine, shown):
    write_deployed(deployed_record(session.paths.state, "dev"))
    engine.plan = result("preview", same=37, create=3)
    deploy(session, "dev", shown, pulumi=engine)
    assert engine.did == ["preview policies", "up policies preview=False refresh=False"]


def test_a_deployment_that_did_not_finish_is_repeated_in_full(session, engine, shown):
    engine.fail = KeyboardInterrupt()
    write_deployed(deployed_record(session.paths.state, "dev"))
    engine.plan = result("preview", create=3)
    with pytest.raises(KeyboardInterrupt):
        deploy(session, "dev", shown, pulumi=engine)
    assert not deployed_record(session.paths.state, "dev").exists()
    engine.fail = None
    engine.did.clear()
    deploy(session, "dev", shown, pulumi=engine)
    assert engine.did == ["up policies preview=True refresh=False"]


def test_an_environment_removed_by_hand_is_compared_with_the_cluster_and_made_again(session, engine, shown):
    write_deployed(deployed_record(session.paths.state, "dev"))
    deploy(session, "dev", shown, lost=True, pulumi=engine)
    assert engine.did == ["up policies preview=True refresh=True"]


@pytest.mark.parametrize("stack", ["platform", "dev"])
def test_a_refresh_compares_every_stack_with_the_cluster_and_costs_one_preview_when_nothing_changed(
    session, engine, shown, stack
):
    write_deployed(deployed_record(session.paths.state, stack))
    assert deploy(session, stack, shown, refresh=True, pulumi=engine) == "unchanged"
    assert engine.did == ["preview policies refresh"]
    engine.did.clear()
    engine.plan = result("preview", same=39, update=1)
    deploy(session, stack, shown, refresh=True, pulumi=engine)
    assert engine.did == ["preview policies refresh", "up policies preview=False refresh=True"]


def test_what_existed_before_is_known_by_its_access_and_its_stacks(session):
    assert existing(session) == {"cluster_existed": False, "stacks_existed": []}
    stack = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / "north.dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    session.paths.kubeconfig.touch()
    assert existing(session) == {"cluster_existed": True, "stacks_existed": ["north.dev"]}


def test_down_takes_the_protection_off_then_destroys_and_forgets_the_stack(session, engine, shown):
    write_deployed(deployed_record(session.paths.state, "dev"))
    destroy(session, "dev", shown, pulumi=engine)
    assert engine.did == ["recover", "destroy remove=True"]
    assert not deployed_record(session.paths.state, "dev").exists()
    engine.did.clear()
    destroy(session, "test", shown, pulumi=engine)
    assert engine.did == [], "a stack that is not there has nothing to destroy"


def test_nothing_is_destroyed_when_the_protection_cannot_be_taken_off(engine):
    def refuse(*_arguments, **_options):
        return subprocess.CompletedProcess([], 1, "", "no such stack")

    with pytest.raises(OperationError) as caught:
        unprotect(engine, "dev", run=refuse)
    assert caught.value.code == ExitCode.DEPLOYMENT
    assert caught.value.problems[0].why == "no such stack"


@pytest.mark.parametrize(("level", "code"), [("mandatory", ExitCode.POLICY), ("advisory", ExitCode.DEPLOYMENT)])
def test_only_a_mandatory_finding_makes_it_a_policy_violation(level, code):
    finding = PolicyViolation(urn="", pack="careops", policy="non-root", level=level, text="runs as root")
    failed = Result(command="up", stack="dev", changes={}, seconds=1.0, violations=(finding,))
    told = known(DeploymentFailed("Stack dev could not be deployed.", why="w", action="a", result=failed))
    assert told is not None
    assert told.code == code


def test_progress_counts_what_is_done_and_names_what_is_waited_for():
    notes: list[str] = []

    class Step:
        def note(self, text: str) -> None:
            notes.append(text)

    progress = Progress(step=Step())
    for phase in (Phase.STARTED, Phase.DONE):
        progress(
            ResourceEvent(urn="u", type="kubernetes:apps/v1:Deployment", name="edge", operation="create", phase=phase)
        )
    assert notes == ["0 resources, now Deployment edge", "1 resources"]


def test_resources_are_counted_without_the_stack_itself(session):
    path = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / "dev.json"
    assert count_resources(session, "dev") is None
    path.parent.mkdir(parents=True)
    kinds = ("pulumi:pulumi:Stack", "kubernetes:core/v1:Namespace", "careops:odoo:Odoo")
    path.write_text(json.dumps({"checkpoint": {"latest": {"resources": [{"type": kind} for kind in kinds]}}}))
    assert count_resources(session, "dev") == 2


def test_changes_are_described_without_what_stayed_the_same():
    assert describe({"create": 12, "update": 1, "same": 30, "delete": 0}) == "12 create, 1 update"
    assert describe({"same": 30}) == "unchanged"
