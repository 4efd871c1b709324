from __future__ import annotations

import io
import json

import pytest

from operations import teardown
from operations.cli import ask
from operations.cli import main as cli
from operations.down import Doomed, DownPlan, Volume
from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.session import open_session


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def carried_out(monkeypatch, tmp_path, make_environment):
    """`careops down` on a platform where every environment is there; what is carried out is kept."""
    plans: list[DownPlan] = []

    def plan(_session, asked, *, everything, keep_cache):
        names = asked or ["prod", "training", "test", "dev"]
        volumes = (Volume(name="filestore", size="10Gi"),)
        doomed = tuple(Doomed(environment=make_environment(name), resources=40, volumes=volumes) for name in names)
        return DownPlan(doomed=doomed, platform=everything, embedded=True, keep_cache=keep_cache)

    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(teardown, "plan", plan)
    monkeypatch.setattr("operations.down.carry_out", lambda plan, *_arguments, **_options: plans.append(plan))
    return plans


def answer(monkeypatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(text))
    monkeypatch.setattr(ask, "may_ask", lambda *, no_input: not no_input)


def test_an_environment_without_own_data_needs_a_yes(carried_out, monkeypatch):
    assert cli.main(["down", "dev", "--no-input"]) == ExitCode.NOT_CONFIRMED
    assert carried_out == []
    answer(monkeypatch, "n\n")
    assert cli.main(["down", "dev"]) == ExitCode.NOT_CONFIRMED
    answer(monkeypatch, "y\n")
    assert cli.main(["down", "dev"]) == ExitCode.OK
    assert cli.main(["down", "dev", "--yes", "--no-input"]) == ExitCode.OK
    assert len(carried_out) == 2


def test_yes_alone_never_destroys_data(carried_out, capsys):
    assert cli.main(["down", "prod", "--yes", "--no-input"]) == ExitCode.NOT_CONFIRMED
    assert carried_out == []
    assert "--confirm prod" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "code"), [("prod\n", ExitCode.OK), ("yes\n", ExitCode.NOT_CONFIRMED)])
def test_a_person_types_the_exact_name_to_destroy_data(carried_out, monkeypatch, typed, code):
    answer(monkeypatch, typed)
    assert cli.main(["down", "prod"]) == code
    assert len(carried_out) == (code == ExitCode.OK)


def test_a_script_names_each_environment_and_the_wrong_name_does_not_count(carried_out):
    assert cli.main(["down", "--all", "--no-input", "--confirm", "prod"]) == ExitCode.NOT_CONFIRMED
    assert cli.main(["down", "prod", "--no-input", "--confirm", "training"]) == ExitCode.NOT_CONFIRMED
    assert carried_out == []
    named = ["--no-input", "--confirm", "prod", "--confirm", "training"]
    assert cli.main(["down", "--all", *named, "--yes"]) == ExitCode.OK
    assert carried_out[0].platform


@pytest.mark.parametrize("name", ["prod", "anything", "DEV", "de", ""])
def test_only_its_exact_name_stands_for_a_yes_to_an_environment_without_own_data(carried_out, name):
    assert cli.main(["down", "dev", "--no-input", "--confirm", name]) == ExitCode.NOT_CONFIRMED
    assert carried_out == []
    assert cli.main(["down", "dev", "--no-input", "--confirm", "dev"]) == ExitCode.OK
    assert len(carried_out) == 1


def test_confirmed_names_do_not_agree_to_the_loss_of_other_environments(carried_out):
    named = ["--no-input", "--confirm", "prod", "--confirm", "training"]
    assert cli.main(["down", "--all", *named]) == ExitCode.NOT_CONFIRMED
    assert carried_out == []
    assert cli.main(["down", "--all", *named, "--confirm", "test", "--confirm", "dev"]) == ExitCode.OK
    assert len(carried_out) == 1


def test_the_cache_stays_unless_told_otherwise(carried_out):
    cli.main(["down", "dev", "--yes"])
    cli.main(["down", "dev", "--yes", "--drop-cache"])
    assert [plan.keep_cache for plan in carried_out] == [True, False]


def test_the_plan_is_shown_before_anything_and_alone_on_request(carried_out, capsys):
    assert cli.main(["down", "prod", "--plan"]) == ExitCode.OK
    assert "40 resources; data volumes: filestore 10Gi" in capsys.readouterr().err
    assert cli.main(["down", "prod", "--plan", "--json"]) == ExitCode.OK
    plan = json.loads(capsys.readouterr().out)
    assert plan["environments"][0]["needs_name"] is True
    assert carried_out == []


def test_broken_settings_and_a_stopped_cluster_do_not_let_data_go_without_its_name(tmp_path, monkeypatch, capsys):
    session = open_session([], {"HOME": str(tmp_path), "CAREOPS_STATE": str(tmp_path / "state")})
    monkeypatch.setenv("CAREOPS_STATE", str(session.paths.state))
    monkeypatch.setattr("operations.live.environments_or_none", lambda _session: ())
    monkeypatch.setattr(teardown.Teardown, "wipe", lambda *_: pytest.fail("destroyed"))
    for name in ("prod", "north.training", "dev", "platform"):
        path = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    session.paths.kubeconfig.write_text("unreadable")
    assert cli.main(["down", "--all", "--yes", "--no-input"]) == ExitCode.NOT_CONFIRMED
    told = capsys.readouterr().err
    assert "--confirm prod" in told
    assert "--confirm north.training" in told
    assert "--confirm dev" not in told


@pytest.mark.parametrize("arguments", [[], ["dev", "--all"]])
def test_down_wants_to_know_exactly_what_to_destroy(carried_out, arguments):
    assert cli.main(["down", *arguments, "--yes"]) == ExitCode.USAGE
    assert carried_out == []


def test_a_namespace_that_does_not_go_is_told_with_what_holds_it():
    condition = {"status": "True", "message": "Some content has finalizers remaining: x.example in 1 resource"}
    error = teardown.stuck("riverside-dev", {"status": {"phase": "Terminating", "conditions": [condition]}})
    assert isinstance(error, OperationError)
    assert "finalizers" in error.problems[0].why
    assert "careops kubectl get namespace riverside-dev" in error.problems[0].action


def test_everything_of_a_platform_goes_and_tools_and_logs_stay(tmp_path, monkeypatch, shown):
    session = open_session([], {"HOME": str(tmp_path), "CAREOPS_STATE": str(tmp_path / "state")})

    class Cluster:
        def wipe(self) -> None: ...

    monkeypatch.setattr("operations.embedded.cluster", lambda _session: Cluster())
    for name in ("pulumi/backend/.pulumi/stacks/careops/dev.json", "deployed/dev.json", "passphrase", "logs/apt.log"):
        path = session.paths.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    teardown.Teardown(session).wipe(shown)
    left = sorted(
        str(path.relative_to(session.paths.state)) for path in session.paths.state.rglob("*") if path.is_file()
    )
    assert left == ["logs/apt.log"]


def test_the_cache_is_removed_with_its_read_only_folders(tmp_path, shown):
    session = open_session([], {"HOME": str(tmp_path), "CAREOPS_CACHE": str(tmp_path / "cache")})
    module = session.paths.go_mod / "example.org@v1"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.org\n")
    module.chmod(0o555)
    teardown.Teardown(session).drop_cache(shown)
    assert not session.paths.cache.exists()
