"""What `careops policies check` reads, and what it makes of it."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from operations.checkout import Checkout
from operations.cli.policies import as_report, rule_rows, totals
from operations.inspection import NOT_READ, discover, inspect, judged_kinds, scope_of
from policies.packs import HEALTHCARE
from policies.pods import POD_KINDS
from policies.waivers import Register, Waiver
from toolchain.cluster.errors import ApiRefused, ApiUnreachable

NOW = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
COMMIT = Checkout(commit="c" * 40, modified=False)
LABELS = {"careops.io/data-classification": "demo"}
IMAGE = "careops.local/odoo:19.0@sha256:" + "ab" * 32
SPEC = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 10019},
    "containers": [
        {
            "name": "main",
            "image": IMAGE,
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}


def plural(kind):
    return "networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s"


class Cluster:
    """An API: lists by path, with the errors it gives instead."""

    def __init__(self, *namespaces):
        self.namespaces = {"kube-system": {}, **dict.fromkeys(namespaces, LABELS)}
        self.objects = {}
        self.errors = {}
        self.asked = []
        self.kinds = judged_kinds() - {"core/Namespace"} | {"core/Secret", "core/Event", "core/ConfigMap"}

    def add(self, namespace, kind, name, **body):
        self.objects.setdefault((namespace, kind), []).append(
            {"metadata": {"name": name, "namespace": namespace, "labels": LABELS, "managedFields": [1]}, **body}
        )
        return self

    def __call__(self, path):
        self.asked.append(path)
        if path in self.errors:
            raise self.errors[path]
        answers = {"/apis": {"groups": [{"preferredVersion": {"groupVersion": f"{g}/v1"}} for g in self._groups()]}}
        for group in ("core", *self._groups()):
            base = "/api/v1" if group == "core" else f"/apis/{group}/v1"
            own = sorted(kind.split("/")[1] for kind in self.kinds if kind.split("/")[0] == group)
            answers[base] = {"resources": [_entry(kind) for kind in own] + [_entry("Binding", verbs=["create"])]}
            for name in self.namespaces:
                for kind in own:
                    found = self.objects.get((name, f"{group}/{kind}"))
                    answers[f"{base}/namespaces/{name}/{plural(kind)}"] = {"items": copy.deepcopy(found)}
        every = [{"metadata": {"name": name, "labels": labels}} for name, labels in self.namespaces.items()]
        answers["/api/v1/namespaces"] = {"items": every}
        answers |= {f"/api/v1/namespaces/{one['metadata']['name']}": one for one in every}
        return answers.get(path)

    def _groups(self):
        return sorted({kind.split("/")[0] for kind in self.kinds} - {"core"})


def _entry(kind, verbs=("get", "list")):
    return {"kind": kind, "name": plural(kind), "namespaced": True, "verbs": list(verbs)}


@pytest.fixture
def cluster():
    """Return a cluster with one environment that complies."""
    made = Cluster("riverside-dev", "cnpg-system")
    for namespace in ("riverside-dev", "cnpg-system"):
        made.add(
            namespace,
            "networking.k8s.io/NetworkPolicy",
            "default-deny",
            spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        )
        made.add(namespace, "core/Pod", "made-by-the-operator", spec=copy.deepcopy(SPEC))
    return made


@pytest.fixture
def look(cluster, make_environment):
    """Return a function that inspects the cluster."""

    def run(register=None, **options):
        options = {"named": False, "deployed": {"dev"}, **options}
        scope = scope_of(cluster, [make_environment("dev"), make_environment("prod")], **options)
        return inspect(cluster, scope, register or Register(), NOW)

    return run


def test_what_complies_complies_and_says_how_much_was_looked_at(look):
    found = look()
    assert found.complies
    assert found.items == ()
    assert totals(found).startswith("6 objects in 2 namespaces: ")
    assert f" {found.counts['passed']} judgements passed, 0 failed, 0 undetermined" in totals(found)
    assert found.scope.judged == ("cnpg-system", "riverside-dev")
    assert found.scope.left_out == ("kube-system",)
    assert found.scope.absent == ("prod",)


def test_the_report_says_when_what_and_by_which_version_of_the_rules_it_was_judged(look, cluster):
    cluster.add("riverside-dev", "core/Pod", "by-hand", spec=copy.deepcopy(SPEC) | {"hostPID": True})
    told = as_report(look(), COMMIT)
    assert told["judged_at"] == "2026-11-24T12:30:05+00:00"
    assert told["pack"] == "careops-healthcare"
    assert (told["commit"], told["commit_modified"]) == ("c" * 40, False)
    assert told["environments"] == ["riverside/dev"], "prod is not deployed: nothing was judged of it"
    assert told["rules"].keys() == HEALTHCARE.levels.keys()
    off_host = {"level": "mandatory", "passed": 2, "failed": 1, "undetermined": 0, "waived": 0}
    assert told["rules"]["pods-stay-off-the-host"] == off_host
    for status, number in told["counts"].items():
        assert sum(counts[status] for counts in told["rules"].values()) == number
    idle = [rule for rule, counts in told["rules"].items() if sum(counts[one] for one in told["counts"]) == 0]
    assert told["rules_without_anything_to_judge"] == idle != []


def test_a_commit_that_git_does_not_tell_is_null(look):
    told = as_report(look(), Checkout())
    assert told["commit"] is told["commit_modified"] is None


def test_pods_and_jobs_that_nobody_declared_are_judged(look, cluster):
    spec = copy.deepcopy(SPEC) | {"hostPID": True}
    cluster.add("riverside-dev", "core/Pod", "by-hand", spec=spec)
    cluster.add(
        "riverside-dev", "batch/Job", "migration", spec={"template": {"metadata": {"labels": LABELS}, "spec": spec}}
    )
    found = look()
    assert not found.complies
    assert {(item.status, item.object) for item in found.items} == {
        ("failed", "core/Pod riverside-dev/by-hand"),
        ("failed", "batch/Job riverside-dev/migration"),
    }
    assert as_report(found, COMMIT)["counts"]["failed"] == 2


def test_a_denial_that_was_opened_by_hand_is_found(look, cluster):
    cluster.add(
        "riverside-dev", "networking.k8s.io/NetworkPolicy", "by-hand", spec={"podSelector": {}, "ingress": [{}]}
    )
    [item] = look().items
    assert item.rule == "namespaces-deny-by-default"
    assert "by-hand" in item.text


def test_a_waiver_is_shown_and_stops_nothing(look, cluster):
    cluster.add("riverside-dev", "core/Pod", "by-hand", spec=copy.deepcopy(SPEC) | {"hostPID": True})
    waiver = Waiver(
        rule="pods-stay-off-the-host",
        resource="kubernetes:core/v1:Pod::riverside-dev/by-hand",
        reason="debugging the kernel until noon",
        approver="the CISO",
        expires=NOW.date(),
    )
    found = look(register=Register(waivers=(waiver,)))
    assert [item.status for item in found.items] == ["waived"]
    assert "the CISO" in found.items[0].text
    assert found.complies


@pytest.mark.parametrize("path", ["/apis/batch/v1/namespaces/riverside-dev/jobs", "/apis/batch/v1", "/api/v1"])
def test_what_may_not_be_read_is_said_and_is_no_pass(path, look, cluster):
    cluster.errors[path] = ApiRefused("refused", why="forbidden", action="ask", status=403)
    found = look()
    assert not found.complies
    assert any("forbidden" in line for line in found.unread)
    assert "could not be read" in totals(found)


def test_a_kind_that_the_api_does_not_serve_is_said_and_is_no_pass(look, cluster):
    cluster.kinds = cluster.kinds - {"postgresql.cnpg.io/Cluster"}
    found = look()
    assert not found.complies
    assert [line for line in found.unread if line.startswith("postgresql.cnpg.io/Cluster")]


def test_a_cluster_that_does_not_answer_is_an_error_and_no_pass(look, cluster):
    cluster.errors["/apis/apps/v1"] = ApiUnreachable("no answer", why="refused", action="start it")
    with pytest.raises(ApiUnreachable):
        look()


def test_an_environment_that_was_named_or_deployed_and_is_gone_is_no_pass(look, cluster):
    assert look(deployed={"dev", "prod"}).scope.missing == ("prod: its namespace riverside-prod does not exist",)
    assert not look(named=True, deployed=()).complies
    del cluster.namespaces["riverside-dev"], cluster.namespaces["cnpg-system"]
    nothing = look(deployed=())
    assert not nothing.complies, "nothing was judged"
    assert "nothing was judged" in totals(nothing)


def test_named_environments_alone_are_looked_at(look, cluster):
    cluster.namespaces["riverside-prod"] = LABELS
    cluster.namespaces["riverside-old"] = {"careops.io/site": "riverside"}
    assert look(named=True).scope.judged == ("riverside-dev", "riverside-prod")
    assert "riverside-old" in look().scope.judged, "an environment without settings is still ours"


def test_where_data_is_masked_is_judged_with_prod(look, cluster):
    cluster.namespaces |= {"riverside-prod": LABELS, "riverside-refresh": LABELS}
    assert look(named=True).scope.judged == ("riverside-dev", "riverside-prod", "riverside-refresh")


def test_secrets_are_not_even_read(look, cluster):
    look()
    assert not [path for path in cluster.asked if path.endswith(("/secrets", "/events"))]
    assert {"core/Secret", "core/Event"} <= NOT_READ.keys()


def test_every_kind_that_a_rule_names_is_listed(cluster):
    kinds, unread = discover(cluster)
    assert unread == []
    assert {kind.name for kind in kinds} >= POD_KINDS | {
        "postgresql.cnpg.io/Cluster",
        "networking.k8s.io/NetworkPolicy",
    }


def test_the_list_of_rules_cites_every_rule_of_the_pack():
    rows = rule_rows()
    assert [row["rule"] for row in rows] == [rule.id for rule in HEALTHCARE.rules]
    assert all(row["hipaa"] for row in rows)
