"""Secrets, refusals, crashes and clusters that do not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from toolchain.errors import ToolchainError
from toolchain.pulumi.runner import DeploymentFailed, StackBusy

pytestmark = pytest.mark.live

CANARY = "Canary-7f3a91"


def test_a_secret_value_is_not_in_the_state_file(project):
    # A Secret's own data, a secret input of another kind, and a secret inside a list.
    project.program(f"""
import base64
ns = Namespace("ns", metadata={{"name": NS}}, opts=opts)
after = options(depends_on=[ns])
Secret("text", metadata={{"namespace": NS, "name": "text"}}, string_data={{"p": "{CANARY}-text"}}, opts=after)
Secret("data", metadata={{"namespace": NS, "name": "data"}},
       data={{"p": base64.b64encode(b"{CANARY}-data").decode()}}, opts=after)
ConfigMap("map", metadata={{"namespace": NS, "name": "map"}},
          data={{"url": pulumi.Output.secret("{CANARY}-map"), "plain": "Readable"}}, opts=after)
pod = Pod("pod", metadata={{"namespace": NS, "name": "pod", "annotations": {{"pulumi.com/skipAwait": "true"}}}},
    spec={{"containers": [{{"name": "main", "image": "a:1",
                            "env": [{{"name": "P", "value": pulumi.Output.secret("{CANARY}-pod")}}]}}]}}, opts=after)
pulumi.export("pod", pod.spec)
""")
    project.up()
    state = project.state_text()
    assert "Readable" in state
    assert CANARY not in state
    assert "Q2FuYXJ5" not in state  # the same in base64
    live = project.plane.get("secret", "text", "-n", project.namespace)
    assert live["data"]["p"].startswith("Q2FuYXJ5")
    assert project.up().is_unchanged
    # What the API server returns is secret as well.
    project.pulumi.refresh("test")
    state = project.state_text()
    assert CANARY not in state
    assert "Q2FuYXJ5" not in state
    assert project.pulumi.outputs("test")["pod"] == "[secret]"
    assert project.up().is_unchanged


@pytest.mark.parametrize(
    "program",
    [
        'from pulumi_kubernetes.yaml.v2 import ConfigGroup\nConfigGroup("group", yaml="kind: A", opts=opts)',
        'from pulumi_kubernetes.helm.v3 import Release\nRelease("release", chart="nginx", opts=opts)',
        'from pulumi_kubernetes.helm.v4 import Chart\nChart("chart", chart="nginx", opts=opts)',
        'from pulumi_kubernetes.kustomize.v2 import Directory\nDirectory("kustomize", directory=".", opts=opts)',
    ],
    ids=["yaml", "helm-release", "helm-chart", "kustomize"],
)
def test_helm_yaml_and_kustomize_tokens_are_refused_and_the_official_plugin_is_named(project, program):
    project.program(program)
    with pytest.raises(DeploymentFailed, match="pulumi-resource-kubernetes"):
        project.preview()


def test_a_patch_resource_is_refused(project):
    project.program('NamespacePatch("ns", metadata={"name": NS}, opts=opts)')
    with pytest.raises(DeploymentFailed, match="patch resources are not served"):
        project.preview()


def test_a_cluster_that_does_not_answer_gives_one_clear_message(project):
    document = project.plane.kubeconfig.read_text()
    port = document.split("127.0.0.1:")[1].split('"')[0]
    dead = document.replace(f":{port}", ":1")
    path = project.folder / "dead-kubeconfig"
    path.write_text(dead.replace('"server.crt"', f'"{project.plane.folder / "server.crt"}"'))
    project.program(f"""
lost = k8s.Provider("lost", kubeconfig={str(path)!r})
for name in ("a", "b", "c"):
    Namespace(name, metadata={{"name": NS + name}}, opts=pulumi.ResourceOptions(provider=lost))
""")
    with pytest.raises(DeploymentFailed) as failure:
        project.preview()
    assert failure.value.why.count("does not answer") == 1
    assert "https://127.0.0.1:1" in failure.value.why


def test_a_kubeconfig_that_is_not_there_is_named(project):
    project.program(
        'k8s.Provider("lost", kubeconfig="/nowhere/kubeconfig")\n'
        'Namespace("a", metadata={"name": NS}, opts=pulumi.ResourceOptions(provider='
        'k8s.Provider("lost2", kubeconfig="/nowhere/kubeconfig")))'
    )
    with pytest.raises(DeploymentFailed, match="kubeconfig /nowhere/kubeconfig does not exist"):
        project.preview()


MANY = """
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
after = ns
for number in range(12):
    after = ConfigMap(f"map{number}", metadata={"namespace": NS, "name": f"map{number}"}, data={"n": str(number)},
                      opts=options(depends_on=[after]))
"""


def kill_when(project, count):
    """Start an update, and kill the engine as soon as `count` of its objects exist."""
    arguments = [str(project.paths.bin / "pulumi"), "up", "--stack", "test", "--yes", "--skip-preview"]
    engine = subprocess.Popen(
        [*arguments, "--non-interactive"],
        cwd=project.folder,
        env=dict(project.pulumi.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and engine.poll() is None:
        try:
            names = project.kubectl("get", "configmaps", "-n", project.namespace, "-o", "name")
            if names.count("configmap/map") >= count:
                break
        except RuntimeError:
            pass
    assert engine.poll() is None, "the update ended before it could be killed: nothing is proved"
    engine.send_signal(signal.SIGKILL)
    engine.wait()


@pytest.mark.parametrize("count", [0, 1, 6])
def test_kill_in_the_middle_of_up_then_up_completes(project, count):
    project.program(MANY)
    project.pulumi.ensure_stack("test")
    kill_when(project, count)
    project.up()
    names = project.kubectl("get", "configmaps", "-n", project.namespace, "-o", "name")
    assert names.count("configmap/map") == 12
    assert project.up().changes == {"same": 15}


def test_an_object_made_but_not_recorded_is_taken_over(project):
    project.program(MANY)
    project.up()
    uid = project.plane.get("configmap", "map3", "-n", project.namespace)["metadata"]["uid"]
    state = project.pulumi.export("test")
    lost = next(item for item in state["deployment"]["resources"] if item["urn"].endswith("::map11"))
    lost_uid = project.plane.get("configmap", "map11", "-n", project.namespace)["metadata"]["uid"]
    # What a kill between the API server's answer and the state's write leaves behind.
    subprocess.run(
        [str(project.paths.bin / "pulumi"), "state", "delete", lost["urn"], "--stack", "test", "--yes"],
        cwd=project.folder,
        env=dict(project.pulumi.environ),
        check=True,
        capture_output=True,
    )
    assert project.up().changes == {"create": 1, "same": 14}
    assert project.plane.get("configmap", "map11", "-n", project.namespace)["metadata"]["uid"] == lost_uid
    assert project.plane.get("configmap", "map3", "-n", project.namespace)["metadata"]["uid"] == uid


def test_plugins_end_when_their_engine_is_killed(project):
    project.program(MANY + "\nimport time\ntime.sleep(60)\n")
    project.pulumi.ensure_stack("test")
    marker = str(project.paths.pulumi_home)
    before = children_with(marker)
    arguments = [str(project.paths.bin / "pulumi"), "up", "--stack", "test", "--yes", "--skip-preview"]
    engine = subprocess.Popen(
        arguments,
        cwd=project.folder,
        env=dict(project.pulumi.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    time.sleep(5)
    assert children_with(marker) - before - {engine.pid}
    engine.kill()
    engine.wait()
    deadline = time.monotonic() + 10
    while children_with(marker) - before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not children_with(marker) - before


def children_with(marker):
    """Return the processes whose environment holds `marker`, except this one."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                with open(f"/proc/{entry.name}/environ", "rb") as file:  # noqa: PTH123 - /proc
                    if marker.encode() in file.read():
                        found.add(int(entry.name))
            except OSError:
                continue
    return found


def test_a_second_update_of_a_stack_that_is_being_changed_is_refused(project):
    project.program(MANY + "\nimport time\ntime.sleep(20)\n")
    project.pulumi.ensure_stack("test")
    arguments = [str(project.paths.bin / "pulumi"), "up", "--stack", "test", "--yes", "--skip-preview"]
    engine = subprocess.Popen(
        arguments,
        cwd=project.folder,
        env=dict(project.pulumi.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not list(project.paths.pulumi_backend.glob(".pulumi/locks/**/*.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(StackBusy, match=str(engine.pid)):
            project.up()
    finally:
        engine.send_signal(signal.SIGINT)
        try:
            engine.wait(40)
        except subprocess.TimeoutExpired:
            engine.kill()


def test_a_program_that_raises_is_reported_with_its_own_traceback_only(project):
    project.program('raise RuntimeError("no such site")')
    with pytest.raises(DeploymentFailed) as failure:
        project.preview()
    assert "no such site" in failure.value.why
    assert "__main__.py" in failure.value.why
    assert "grpc" not in failure.value.why


def test_a_bad_stack_name_is_refused(project):
    with pytest.raises(ToolchainError, match="cannot be a stack's name"):
        project.pulumi.up("no/such stack")


PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def tier(args, report):
    if args.resource_type == "kubernetes:core/v1:ConfigMap":
        if "tier" not in (args.props["metadata"].get("labels") or {}):
            report("every ConfigMap needs a tier")

PolicyPack("pack", policies=[
    ResourceValidationPolicy("tier-label", "ConfigMaps have a tier.", tier, EnforcementLevel.MANDATORY)])
"""


def test_a_mandatory_policy_stops_before_anything_is_touched(project):
    pack = project.folder / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "__main__.py").write_text(PACK)
    text = """
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
ConfigMap("map", metadata={"namespace": NS, "name": "map", LABELS}, data={"a": "b"}, opts=options(depends_on=[ns]))
"""
    project.program(text.replace("LABELS", ""))
    with pytest.raises(
        DeploymentFailed, match=r"map: policy tier-label: (.|\n)*every ConfigMap needs a tier"
    ) as failure:
        project.up(preview=True, policy_pack=pack)
    (violation,) = failure.value.result.violations
    assert violation.urn.endswith("::map")
    with pytest.raises(RuntimeError, match="not found"):
        project.plane.get("namespace", project.namespace)
    project.program(text.replace("LABELS", '"labels": {"tier": "gold"}'))
    assert not project.up(preview=True, policy_pack=pack).violations
