"""Driving the engine: its events as data, its failures in words, and what a killed one leaves behind."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from toolchain.errors import MissingTool, ToolchainError
from toolchain.paths import Paths
from toolchain.pulumi import crash, workspace
from toolchain.pulumi.engine import watch
from toolchain.pulumi.errors import DeploymentFailed, MissingPassphrase, StackBusy
from toolchain.pulumi.events import Diagnostic, Phase, PolicyViolation, ResourceEvent, Summary, parse_event
from toolchain.pulumi.runner import Pulumi

URN = "urn:pulumi:dev::careops::careops:a:B$kubernetes:core/v1:Namespace::boundary"
METADATA = {"urn": URN, "type": "kubernetes:core/v1:Namespace", "op": "create"}


def parsed(**event):
    return parse_event(json.dumps(event))


def test_the_engines_lines_become_data():
    assert parsed(resourcePreEvent={"metadata": METADATA}) == ResourceEvent(
        urn=URN, type="kubernetes:core/v1:Namespace", name="boundary", operation="create", phase=Phase.STARTED
    )
    assert parsed(resOpFailedEvent={"metadata": METADATA}).phase is Phase.FAILED
    assert parsed(resOutputsEvent={"metadata": METADATA}).phase is Phase.DONE
    summary = parsed(summaryEvent={"resourceChanges": {"same": 3}, "durationSeconds": 2, "result": "failed"})
    assert summary == Summary(changes={"same": 3}, seconds=2.0, finished=False)
    assert parsed(preludeEvent={}) is None


def test_what_only_developers_of_pulumi_need_is_left_out():
    assert parsed(diagnosticEvent={"severity": "debug", "message": "registering"}) is None
    assert parsed(diagnosticEvent={"severity": "info", "message": "\n"}) is None
    told = parsed(diagnosticEvent={"severity": "info#err", "message": "hello\n", "ephemeral": True, "urn": URN})
    assert told == Diagnostic(urn=URN, severity="info", text="hello", passing=True)


def test_a_violation_stops_only_when_it_is_mandatory():
    found = parsed(policyEvent={"policyName": "p", "enforcementLevel": "mandatory", "message": "m", "resourceUrn": URN})
    assert isinstance(found, PolicyViolation)
    assert found.is_mandatory
    assert not parsed(policyEvent={"policyName": "p", "enforcementLevel": "advisory"}).is_mandatory


ENGINE = """#!{python}
import json, os, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps([arguments, os.getcwd(), os.environ.get("PULUMI_K8S_UPSERT_EXISTING_OBJECTS")]) + "\\n")
if arguments[:2] == ["stack", "ls"]:
    print({stacks!r})
if arguments[:2] == ["stack", "init"]:
    open("Pulumi." + arguments[2] + ".yaml", "w").write("encryptionsalt: v1:salt\\n")
if arguments[:2] == ["stack", "export"]:
    print({state!r})
if arguments[:2] == ["stack", "import"]:
    open({log!r} + ".imported", "w").write(open(arguments[arguments.index("--file") + 1]).read())
if "--event-log" in arguments:
    with open(arguments[arguments.index("--event-log") + 1], "w") as file:
        for event in json.loads({events!r}):
            file.write(json.dumps(event) + "\\n")
    sys.stderr.write({stderr!r})
    sys.exit({code})
"""


@pytest.fixture
def engine(tmp_path):
    """Return a maker of runners whose engine does what a test says and notes how it was called."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: careops\nruntime: python\n")
    backend = tmp_path / "backend"
    (backend / ".pulumi").mkdir(parents=True)

    def make(events=(), code=0, stderr="", stacks="[]", state=None):
        program = tmp_path / "pulumi"
        text = ENGINE.format(
            python=sys.executable,
            log=str(tmp_path / "calls"),
            stacks=stacks,
            state=json.dumps(state or {}),
            events=json.dumps(list(events)),
            stderr=stderr,
            code=code,
        )
        program.write_text(text)
        program.chmod(0o755)
        environ = {"PATH": os.environ["PATH"], "PULUMI_BACKEND_URL": f"file://{backend}"}
        return Pulumi(
            folder=folder,
            environ=environ,
            run_folder=tmp_path / "runs",
            config_folder=tmp_path / "config",
            program=str(program),
        )

    make.folder, make.backend, make.root = folder, backend, tmp_path
    make.calls = lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    return make


SUMMARY = {"summaryEvent": {"resourceChanges": {"create": 2, "same": 1}, "durationSeconds": 1}}


def test_an_update_is_previewed_first_and_both_are_judged_by_the_policies(engine, tmp_path):
    seen = []
    result = engine([{"resourcePreEvent": {"metadata": METADATA}}, SUMMARY]).up(
        "dev", policy_pack=tmp_path / "policies", on_event=seen.append
    )
    assert result.changes == {"create": 2, "same": 1}
    assert not result.is_unchanged
    assert [event.name for event in seen if isinstance(event, ResourceEvent)] == ["boundary"]
    commands = [arguments for arguments, _, _ in engine.calls() if "--event-log" in arguments]
    assert [arguments[0] for arguments in commands] == ["preview", "up"]
    assert all(str(tmp_path / "policies") in arguments for arguments in commands)


def test_the_machines_salt_stays_out_of_the_committed_settings(engine):
    settings = engine.folder / "Pulumi.dev.yaml"
    settings.write_text("config:\n  careops:site: riverside\n")
    engine([SUMMARY]).up("dev", preview=False)
    assert "encryptionsalt" not in settings.read_text()
    arguments = engine.calls()[-1][0]
    merged = open(arguments[arguments.index("--config-file") + 1]).read()  # noqa: PTH123, SIM115 - a test's glance
    assert "riverside" in merged
    assert "v1:salt" in merged


def test_two_stacks_that_are_made_at_once_do_not_disturb_each_other(engine):
    runner = engine([SUMMARY])
    with ThreadPoolExecutor() as pool:
        names = [f"site.{number}" for number in range(4)]
        assert all(result.changes for result in pool.map(lambda name: runner.up(name, preview=False), names))
    project = engine.root / "config" / "Pulumi.yaml"
    assert "name: careops" in project.read_text()
    assert [path.name for path in project.parent.iterdir() if path.name.startswith(".")] == []


INTERRUPTIBLE = """#!{python}
import json, signal, sys, time
def heard(*_):
    with open({log!r}, "a") as file:
        file.write("interrupted\\n")
    sys.exit(1)
signal.signal(signal.SIGINT, heard)
log = open(sys.argv[1], "w")
log.write(json.dumps({{"diagnosticEvent": {{"severity": "info", "message": "runs"}}}}) + "\\n")
log.close()
time.sleep({seconds})
"""


@pytest.mark.parametrize(("seconds", "signals"), [(60, 1), (0.3, 0)], ids=["not heard yet", "ending already"])
def test_an_interrupted_engine_is_signalled_once_and_only_when_it_has_not_heard(
    tmp_path, monkeypatch, seconds, signals
):
    monkeypatch.setattr("toolchain.pulumi.engine._GRACE_SECONDS", 1.0)
    program, heard, log = tmp_path / "pulumi", tmp_path / "heard", tmp_path / "events"
    program.write_text(INTERRUPTIBLE.format(python=sys.executable, log=str(heard), seconds=seconds))
    program.chmod(0o755)

    def interrupt(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch([str(program), str(log)], tmp_path, os.environ, log, (interrupt,))
    assert (heard.read_text().count("interrupted") if heard.exists() else 0) == signals


def test_a_failure_tells_what_the_engine_said_once_each(engine):
    error = {"diagnosticEvent": {"severity": "error", "message": "quota exceeded", "urn": URN}}
    with pytest.raises(DeploymentFailed) as failure:
        engine([error, error, SUMMARY], code=255).up("dev", preview=False)
    assert failure.value.why == "boundary: quota exceeded"
    assert failure.value.result.changes == {"create": 2, "same": 1}


def test_a_failure_before_any_event_tells_what_the_engine_printed(engine):
    with pytest.raises(DeploymentFailed, match="no such backend"):
        engine([], code=1, stderr="error: no such backend\n").up("dev", preview=False)


def test_a_mandatory_violation_stops_before_anything_is_touched(engine):
    event = {"policyEvent": {"policyName": "non-root", "enforcementLevel": "mandatory", "message": "runs as root"}}
    with pytest.raises(DeploymentFailed, match="policy non-root: runs as root") as failure:
        engine([event], code=255).up("dev")
    assert "nothing was touched" in failure.value.action
    assert not [arguments for arguments, _, _ in engine.calls() if arguments[0] == "up"]


def test_an_engine_that_is_not_there_is_reported(engine):
    runner = engine()
    missing = dataclasses.replace(runner, program="/nowhere/pulumi")
    with pytest.raises(MissingTool, match="cannot be started"):
        missing.preview("dev")


def test_the_event_log_is_in_the_folder_of_runs_and_gone_when_the_run_is_over(engine, tmp_path):
    engine([SUMMARY]).up("dev")
    logs = [
        arguments[arguments.index("--event-log") + 1]
        for arguments, _, _ in engine.calls()
        if "--event-log" in arguments
    ]
    assert len(logs) == 2
    assert all(log.startswith(f"{tmp_path}/runs/dev-") for log in logs)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "x" * 101])
def test_a_name_that_no_stack_can_have_is_refused(engine, name):
    with pytest.raises(ToolchainError, match="cannot be a stack's name"):
        engine().preview(name)


def locked(engine, **content):
    folder = engine.backend / ".pulumi" / "locks" / "organization" / "careops" / "dev"
    folder.mkdir(parents=True)
    (folder / "lock.json").write_text(json.dumps(content))


PENDING = {"resource": {"urn": URN}, "type": "creating"}


def test_a_dead_engines_lock_and_notes_are_removed_and_what_it_was_creating_is_told(engine):
    locked(engine, pid=2**22 - 1, hostname=socket.gethostname(), timestamp="then")
    stacks = engine.backend / ".pulumi" / "stacks" / "careops"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("{}")
    state = {"version": 3, "deployment": {"resources": [], "pending_operations": [PENDING]}}
    assert engine(state=state).recover("dev") == [URN]
    assert engine.calls()[0][0][:3] == ["cancel", "dev", "--yes"]
    imported = json.loads((engine.root / "calls.imported").read_text())
    assert imported == {"version": 3, "deployment": {"resources": [], "pending_operations": []}}


def test_what_the_official_plugin_was_creating_is_taken_over_by_the_next_update_only(engine):
    stacks = engine.backend / ".pulumi" / "stacks" / "careops"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text(json.dumps({"checkpoint": {"latest": {"pending_operations": [PENDING]}}}))
    state = {"deployment": {"pending_operations": [PENDING]}}
    engine([SUMMARY], state=state).up("dev", preview=False)
    assert engine.calls()[-1][2] == "true"
    (stacks / "dev.json").write_text(json.dumps({"checkpoint": {"latest": {}}}))
    engine([SUMMARY], state=state).up("dev", preview=False)
    assert engine.calls()[-1][2] is None


def test_a_living_engines_lock_is_respected(engine):
    holder = crash.LockHolder(pid=os.getpid(), host="elsewhere", since="now")
    assert crash.is_running(holder)
    locked(engine, pid=1, hostname="elsewhere", timestamp="now")
    with pytest.raises(StackBusy, match="Process 1 on elsewhere"):
        engine().recover("dev")


def test_another_program_under_a_reused_process_id_is_no_engine():
    assert not crash.is_running(crash.LockHolder(pid=os.getpid(), host=socket.gethostname(), since="now"))
    assert not crash.is_running(crash.LockHolder(pid=0, host="", since=""))


def test_a_lock_that_was_being_written_belongs_to_nobody(engine):
    folder = engine.backend / ".pulumi" / "locks" / "organization" / "careops" / "dev"
    folder.mkdir(parents=True)
    (folder / "lock.json").write_text('{"pid": 1')
    (holder,) = crash.lock_holders(f"file://{engine.backend}", "careops", "dev")
    assert not crash.is_running(holder)


@pytest.fixture
def paths(tmp_path):
    return Paths(root=tmp_path / "root", state=tmp_path / "state", cache=tmp_path / "cache")


def test_a_passphrase_is_made_once_for_the_owner_alone(paths):
    workspace.prepare(paths)
    first = paths.passphrase.read_text()
    assert len(first.strip()) >= 43
    assert stat.S_IMODE(paths.passphrase.stat().st_mode) == 0o600
    workspace.prepare(paths)
    assert paths.passphrase.read_text() == first


def test_a_passphrase_that_is_gone_while_its_state_exists_is_never_made_anew(paths):
    workspace.prepare(paths)
    stack = paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    paths.passphrase.unlink()
    with pytest.raises(MissingPassphrase, match="does not exist"):
        workspace.prepare(paths)
    assert not paths.passphrase.exists()
    paths.passphrase.write_text("\n")
    with pytest.raises(MissingPassphrase, match="is empty"):
        workspace.prepare(paths)


def test_the_engine_cannot_write_its_debug_log(paths):
    logs = paths.pulumi_home / "logs"
    logs.mkdir(parents=True)
    (logs / "old.log").touch()
    workspace.prepare(paths)
    assert logs.is_file()
    workspace.prepare(paths)
    assert logs.read_bytes() == b""


def test_the_environment_leads_plain_pulumi_to_this_checkout(paths):
    environ = workspace.environment(paths, {"PATH": "/usr/bin"})
    assert environ["PATH"] == f"{paths.bin}{os.pathsep}/usr/bin"
    assert environ["PULUMI_BACKEND_URL"] == f"file://{paths.pulumi_backend}"
    assert environ["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(paths.passphrase)
    assert not any(value == "" for value in environ.values())


def test_stand_ins_are_placed_where_the_engine_looks_and_are_known_as_such(paths, tmp_path):
    host = workspace.place_language_host(paths, tmp_path / "with space" / "exec")
    plugin = workspace.place_kubernetes_plugin(paths)
    assert host == paths.bin / "pulumi-language-python"
    assert plugin.parent.name == "resource-kubernetes-v4.34.2"
    assert os.access(host, os.X_OK)
    assert os.access(plugin, os.X_OK)
    assert f"'{tmp_path / 'with space' / 'exec'}'" in host.read_text()
    assert workspace.is_stand_in(plugin)
    assert not workspace.is_stand_in(tmp_path / "nothing")
    before = plugin.stat().st_mtime_ns
    workspace.place_kubernetes_plugin(paths)
    assert plugin.stat().st_mtime_ns == before


def test_an_engine_gets_a_file_of_its_own_unless_its_hosts_stand_around_it(paths, tmp_path):
    built = tmp_path / "built" / "pulumi"
    built.parent.mkdir()
    built.write_text("engine")
    placed = workspace.place_engine(paths, built)
    assert not placed.is_symlink()
    assert placed.read_text() == "engine"
    vendor = tmp_path / "vendor" / "pulumi"
    vendor.parent.mkdir()
    vendor.write_text("vendor's")
    (vendor.parent / "pulumi-language-python").write_text("host")
    assert workspace.place_engine(paths, vendor).resolve() == vendor
    assert workspace.place_engine(paths, built).read_text() == "engine"
