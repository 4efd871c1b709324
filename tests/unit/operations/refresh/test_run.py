"""A run, watched to its end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from operations.refresh import jobs
from operations.refresh.jobs import rollback_part, run_parts
from operations.refresh.links import ensure
from operations.refresh.run import Asked, Clock, Run, keep, wait_for_roles
from toolchain.cluster.errors import ApiRefused, ApiUnreachable

NOW = datetime(2026, 11, 24, 11, 30, tzinfo=UTC)
RUN = "20261124t113000"
NAMES = [f"refresh-{part}-{RUN}" for part in ("mask", "export", "adopt")]
MASK, EXPORT, ADOPT = NAMES
ASKED = Asked(requested_by="ada", approved_by="grace")
CERTIFICATE = '{"run": "20261124t113000", "signature": "abc"}'


class Time:
    """A clock whose sleeps take no time, and do what a test planned for them."""

    def __init__(self, *happen):
        self.at, self.happen = 0.0, list(happen)

    def sleep(self, seconds):
        self.at += seconds
        if self.happen:
            self.happen.pop(0)()

    def clock(self):
        return Clock(now=lambda: self.at, sleep=self.sleep, today=lambda: NOW)


class Notes(list):
    def note(self, text):
        self.append(text)


def started(cluster, *happen, parts=None):
    return Run(cluster, "riverside", parts, Time(*happen).clock())


def all_run(cluster):
    for name in NAMES:
        cluster.pod(name, phase="Running")


def finished(cluster):
    def act():
        all_run(cluster)
        for name in NAMES:
            cluster.finish(name)

    return act


# -- what a run leaves behind --------------------------------------------------------------------------------------


def broken(cluster):
    def act():
        all_run(cluster)
        cluster.finish(MASK, failed=True)
        for name in (EXPORT, ADOPT):
            cluster.finish(name)

    return act


def test_the_database_of_a_run_whose_programs_died_is_dropped_when_they_have_let_go(cluster):
    cluster.leftover = [(("1",),), (("0",),)]
    with pytest.raises(OperationError):
        started(cluster, broken(cluster)).go(Notes(), ASKED)
    looked, again, renamed, dropped, last = cluster.asked
    assert looked == again == last
    assert f"'careops: refresh {RUN}'" in looked
    assert f"'careops: refresh {RUN}'" in renamed
    assert "RENAME TO odoo_discarded" in renamed
    assert dropped == "DROP DATABASE IF EXISTS odoo_discarded WITH (FORCE)"


def test_where_nothing_is_left_nothing_is_dropped(cluster):
    with pytest.raises(OperationError) as told:
        started(cluster, broken(cluster)).go(Notes(), ASKED)
    assert len(cluster.asked) == 1
    assert "nobody verified" not in str(told.value)


def test_a_database_that_a_program_still_works_in_is_not_dropped_but_told(cluster):
    cluster.leftover = [(("1",),)] * 100
    with pytest.raises(OperationError) as told:
        started(cluster, broken(cluster)).go(Notes(), ASKED)
    assert {statement.split()[0] for statement in cluster.asked} == {"SELECT"}
    assert "which nobody verified" in str(told.value)
    assert told.value.code == ExitCode.REFRESH_FAILED


def test_a_server_that_does_not_answer_hides_no_reason(cluster, monkeypatch):
    def silent(*_):
        raise OperationError(ExitCode.UNHEALTHY, Problem(what="no primary", why="x", action="y"))

    def act():
        broken(cluster)()
        monkeypatch.setattr(cluster, "ask", silent)

    with pytest.raises(OperationError) as told:
        started(cluster, act).go(Notes(), ASKED)
    assert told.value.code == ExitCode.REFRESH_FAILED
    assert "Mask, and verify" in told.value.problems[0].what
    assert told.value.problems[-1].why == "no primary"


def test_a_rollback_that_fails_looks_for_nothing_to_drop(cluster):
    def act():
        cluster.finish(f"refresh-rollback-{RUN}", failed=True)

    with pytest.raises(OperationError):
        started(cluster, act, parts=[rollback_part("riverside")]).go(Notes(), ASKED)
    assert cluster.asked == []


# -- a run that ends well ------------------------------------------------------------------------------------------


def test_a_run_makes_one_job_from_each_template_and_waits_for_all_of_them(cluster):
    outcome = started(cluster, finished(cluster)).go(Notes(), ASKED)
    assert cluster.created == NAMES
    assert cluster.deleted == []
    assert outcome.run == RUN
    assert set(outcome.parts.values()) == {600.0}


def test_the_jobs_are_what_the_templates_say_and_belong_to_them(cluster):
    started(cluster, finished(cluster)).go(Notes(), ASKED)
    for part in run_parts("riverside"):
        job, template = cluster.job(part.job(RUN)), cluster.objects[part.template_path]
        (owner,) = job["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("CronJob", part.template, f"uid-{part.template}")
        pod, wanted = (each["spec"]["template"]["spec"] for each in (job, template["spec"]["jobTemplate"]))
        assert pod["volumes"] == wanted["volumes"]
        assert job["spec"]["backoffLimit"] == 0


def test_who_asked_and_who_approved_is_told_to_the_program_that_signs(cluster):
    started(cluster, finished(cluster)).go(Notes(), ASKED)
    (container,) = cluster.job(MASK)["spec"]["template"]["spec"]["containers"]
    values = {each["name"]: each.get("value") for each in container["env"]}
    assert (values["CAREOPS_REQUESTED_BY"], values["CAREOPS_APPROVED_BY"]) == ("ada", "grace")
    template = cluster.objects[run_parts("riverside")[0].template_path]
    assert '"ada"' not in json.dumps(template["spec"]), "the template says what the schedule's runs say"


def test_a_run_that_has_to_end_before_a_class_has_a_shorter_deadline_and_names_its_request(cluster):
    asked = replace(ASKED, until=NOW + timedelta(minutes=30), request="261201-x7k2p")
    started(cluster, finished(cluster)).go(Notes(), asked)
    for name in NAMES:
        job = cluster.job(name)
        assert job["spec"]["activeDeadlineSeconds"] == 30 * 60 - 90
        assert job["metadata"]["annotations"]["careops.io/sandbox-request"] == "261201-x7k2p"
    template = cluster.objects[run_parts("riverside")[0].template_path]
    assert template["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 6 * 3600


def test_a_class_far_away_leaves_the_deadline_of_the_settings(cluster):
    started(cluster, finished(cluster)).go(Notes(), replace(ASKED, until=NOW + timedelta(days=2)))
    assert cluster.job(MASK)["spec"]["activeDeadlineSeconds"] == 6 * 3600
    assert "careops.io/sandbox-request" not in cluster.job(MASK)["metadata"]["annotations"]


def test_a_run_that_was_ended_for_a_class_says_so(cluster):
    def late():
        all_run(cluster)
        for name in NAMES:
            cluster.finish(name, failed=True)
            cluster.job(name)["status"]["conditions"][0]["message"] = "Job was active longer than specified deadline"

    with pytest.raises(OperationError) as told:
        started(cluster, late).go(Notes(), replace(ASKED, until=NOW + timedelta(minutes=30)))
    assert "it had to end before 2026-11-24 12:00 UTC: class hours or a freeze begin" in told.value.problems[0].why
    assert "training is as it was" in told.value.problems[0].what


def test_the_notes_show_what_each_job_is_doing(cluster):
    def running():
        all_run(cluster)
        cluster.logs[f"{MASK}-abcde"] = "careops-refresh: mask: res_partner: 40 %\n"
        cluster.logs[f"{ADOPT}-abcde"] = "careops-odoo: adopt: waiting for the masked database\n"

    notes = Notes()
    started(cluster, running, finished(cluster)).go(notes, ASKED)
    assert "its pod has not been made yet" in notes[0]
    assert notes[1] == "mask: res_partner: 40 %; export: running; adopt: waiting for the masked database"


# -- a run that fails ----------------------------------------------------------------------------------------------


def fail_mask(cluster):
    def act():
        all_run(cluster)
        cluster.finish(MASK, failed=True)
        over = {"state": {"terminated": {"exitCode": 78}}, "name": "refresh-mask"}
        cluster.pod(MASK, phase="Failed", containerStatuses=[over])
        cluster.logs[f"{MASK}-abcde"] = "careops-refresh: mask: x_module.secret is not classified"

    return act


def test_of_the_adoptions_log_only_our_own_lines_reach_the_terminal(cluster):
    def broken():
        all_run(cluster)
        cluster.logs[f"{ADOPT}-abcde"] = "careops-odoo: adopt: upgrade failed\nDETAIL: Key (name)=(Ada Lovelace)\n"
        cluster.finish(ADOPT, failed=True)
        cluster.finish(MASK)
        cluster.finish(EXPORT)

    with pytest.raises(OperationError) as told:
        started(cluster, broken).go(Notes(), ASKED)
    why = "".join(problem.why for problem in told.value.problems)
    assert "upgrade failed" in why
    assert "Lovelace" not in why


def test_what_the_adoption_is_doing_is_told_in_our_own_words_only(cluster):
    def working():
        all_run(cluster)
        cluster.logs[f"{ADOPT}-abcde"] = "Ada Lovelace\n"

    notes = Notes()
    started(cluster, working, finished(cluster)).go(notes, ASKED)
    assert "adopt: running" in str(notes)
    assert "Lovelace" not in str(notes)


def test_a_job_that_fails_ends_the_others_and_is_told_with_the_end_of_its_log(cluster):
    with pytest.raises(OperationError) as told:
        started(cluster, fail_mask(cluster)).go(Notes(), ASKED)
    assert told.value.code == ExitCode.REFRESH_FAILED
    (problem,) = told.value.problems
    assert "training is as it was" in problem.what
    assert "refresh-mask ended with 78 (refused" in problem.why
    assert "x_module.secret is not classified" in problem.why
    assert sorted(cluster.deleted) == sorted([EXPORT, ADOPT]), "the failed one stays, for its log"


def test_the_job_that_failed_first_is_told_first(cluster):
    def act():
        all_run(cluster)
        cluster.finish(MASK, failed=True, at="2026-11-24T11:41:00+00:00")
        cluster.finish(EXPORT, failed=True, at="2026-11-24T11:40:00+00:00")

    with pytest.raises(OperationError) as told:
        started(cluster, act).go(Notes(), ASKED)
    assert [problem.what.split("job ")[1].split(")")[0] for problem in told.value.problems] == [EXPORT, MASK]


def test_the_job_that_failed_of_itself_is_told_before_the_one_that_followed_it(cluster):
    def adopt_follows():
        all_run(cluster)
        cluster.finish(ADOPT, failed=True)
        cluster.logs[f"{ADOPT}-abcde"] = "careops-odoo:   do:  see the log of the Job refresh-mask of this run"

    # The pod of the masking program ends later: a server ends beside it.
    with pytest.raises(OperationError) as told:
        started(cluster, adopt_follows, fail_mask(cluster)).go(Notes(), ASKED)
    assert [problem.what.split("job ")[1].split(")")[0] for problem in told.value.problems] == [MASK, ADOPT]
    assert cluster.deleted == [EXPORT], "both that failed stay, for their logs"


@pytest.mark.parametrize("now", [(("careops.generation", RUN),), ()], ids=["a refresh", "a rollback"])
def test_a_failure_after_the_swap_says_that_it_was_swapped(cluster, now):
    def act():
        cluster.rows["riverside-training", "parameters"] = now
        fail_mask(cluster)()

    with pytest.raises(OperationError, match="training's data was swapped already"):
        started(cluster, act).go(Notes(), ASKED)


def test_a_database_that_does_not_answer_is_not_taken_for_one_that_was_not_swapped(cluster):
    run = started(cluster, finished(cluster))
    run.go(Notes(), ASKED)
    assert run.swapped() is False
    del cluster.rows["riverside-training", "parameters"]
    assert run.swapped() is None


def test_a_run_that_is_interrupted_deletes_its_jobs(cluster):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        started(cluster, interrupt).go(Notes(), ASKED)
    assert sorted(cluster.deleted) == sorted(NAMES)


def test_an_interruption_between_two_jobs_leaves_none(cluster):
    def interrupt(path):
        if path.endswith("cronjobs/refresh-adopt"):
            raise KeyboardInterrupt

    cluster.on_look = interrupt
    with pytest.raises(KeyboardInterrupt):
        started(cluster).go(Notes(), ASKED)
    assert cluster.created == [MASK, EXPORT]
    assert sorted(cluster.deleted) == sorted([MASK, EXPORT])


def test_a_pod_that_never_starts_ends_the_run_with_the_reason(cluster):
    waiting = {
        "name": "refresh-adopt",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    }

    def stuck():
        cluster.pod(MASK, phase="Running")
        cluster.pod(EXPORT, phase="Running")
        cluster.pod(ADOPT, phase="Pending", containerStatuses=[waiting])

    with pytest.raises(OperationError, match="did not start within 10 minutes") as told:
        started(cluster, stuck).go(Notes(), ASKED)
    assert "ImagePullBackOff no such image" in told.value.problems[0].why
    assert sorted(cluster.deleted) == sorted(NAMES)


def test_a_job_that_somebody_deleted_ends_the_run(cluster):
    def gone():
        cluster.delete(f"/apis/batch/v1/namespaces/riverside-refresh/jobs/{MASK}")

    with pytest.raises(OperationError, match="was deleted"):
        started(cluster, gone).go(Notes(), ASKED)
    assert sorted(cluster.deleted) == sorted(NAMES)


def silent(cluster, *, seconds, error=None):
    """Let the API server answer nothing, or an error, for a while."""
    error = error or ApiUnreachable("no answer", why="refused", action="wait")

    def act():
        time.at += seconds

        def refuse(path):
            if "/jobs/" in path and time.at < seconds + 10:
                raise error

        cluster.on_look = refuse

    time = Time(act, *[lambda: None] * 10, finished(cluster))
    return Run(cluster, "riverside", None, time.clock())


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_api_server_that_is_still_starting_does_not_end_a_run(cluster, status):
    refused = ApiRefused("no answer", why="etcdserver: no leader", action="wait", status=status)
    silent(cluster, seconds=100, error=refused).go(Notes(), ASKED)
    assert cluster.deleted == []


def test_an_api_server_that_refuses_does(cluster):
    with pytest.raises(ApiRefused):
        silent(cluster, seconds=100, error=ApiRefused("no", why="forbidden", action="ask", status=403)).go(
            Notes(), ASKED
        )


def test_an_api_server_that_is_silent_for_a_moment_does_not_end_a_run(cluster):
    notes = Notes()
    silent(cluster, seconds=100).go(notes, ASKED)
    assert any("no answer" in note for note in notes)
    assert cluster.deleted == []


def test_an_api_server_that_stays_silent_does(cluster):
    with pytest.raises(ApiUnreachable):
        silent(cluster, seconds=400).go(Notes(), ASKED)


def test_a_template_that_vanished_starts_nothing(cluster):
    cluster.objects.pop(run_parts("riverside")[0].template_path)
    with pytest.raises(OperationError) as told:
        started(cluster).go(Notes(), ASKED)
    assert told.value.code == ExitCode.DEPLOYMENT
    assert cluster.created == []


# -- evidence ------------------------------------------------------------------------------------------------------


def printed(certificate):
    return f"careops-odoo: adopt: done\n{jobs.CERTIFICATE_BEGIN}\n{certificate}\n{jobs.CERTIFICATE_END}\n"


def test_the_certificate_is_taken_as_it_was_printed(cluster):
    ensure(cluster, "riverside", {}, NOW)
    run = started(cluster, finished(cluster))
    outcome = run.go(Notes(), ASKED)
    cluster.logs[f"{ADOPT}-abcde"] = printed(CERTIFICATE)
    found = run.with_certificate(outcome)
    assert found.certificate == CERTIFICATE


@pytest.mark.parametrize("log", ["", "careops-odoo: adopt: done", printed("{"), printed("[]"), jobs.CERTIFICATE_BEGIN])
def test_a_run_without_a_certificate_that_can_be_read_is_a_failure(cluster, log):
    ensure(cluster, "riverside", {}, NOW)
    run = started(cluster, finished(cluster))
    outcome = run.go(Notes(), ASKED)
    cluster.logs[f"{ADOPT}-abcde"] = log
    with pytest.raises(OperationError, match="its certificate cannot be had") as told:
        run.with_certificate(outcome)
    assert told.value.code == ExitCode.REFRESH_FAILED


def test_what_a_run_took_is_kept_for_the_next_plan(cluster, tmp_path):
    outcome = started(cluster, finished(cluster)).go(Notes(), ASKED)
    record = json.loads(keep(tmp_path, "riverside", outcome, "2026-11-24T11:30:00+00:00", 7).read_text())
    assert (record["run"], record["bytes"], record["site"]) == (RUN, 7, "riverside")
    assert set(record["parts"]) == {"refresh-mask", "refresh-export", "refresh-adopt"}


# -- rollback, roles, states ---------------------------------------------------------------------------------------


def test_a_rollback_is_one_job(cluster):
    part = rollback_part("riverside")

    def done():
        cluster.pod(part.job(RUN), phase="Running")
        cluster.finish(part.job(RUN))

    started(cluster, done, parts=[part]).go(Notes(), ASKED)
    assert cluster.created == [f"refresh-rollback-{RUN}"]


def give_role(cluster, environment, role, secret):
    path = f"/api/v1/namespaces/riverside-{environment}/secrets/{secret}"
    version = cluster.objects[path]["metadata"]["resourceVersion"]
    status = {"managedRolesStatus": {"passwordStatus": {role: {"resourceVersion": version}}}}
    cluster.objects[f"/apis/postgresql.cnpg.io/v1/namespaces/riverside-{environment}/clusters/postgresql"] = {
        "status": status
    }


def test_a_run_waits_until_both_roles_have_the_password_of_their_secret(cluster):
    ensure(cluster, "riverside", {}, NOW)
    time = Time(
        lambda: give_role(cluster, "prod", "refresh_source", "refresh-source-role"),
        lambda: give_role(cluster, "training", "refresh", "refresh-role"),
    )
    wait_for_roles(cluster, "riverside", Notes(), time.clock())
    assert time.at == 4.0


def test_a_role_with_an_older_password_is_not_ready(cluster):
    ensure(cluster, "riverside", {}, NOW)
    give_role(cluster, "prod", "refresh_source", "refresh-source-role")
    give_role(cluster, "training", "refresh", "refresh-role")
    cluster.objects["/api/v1/namespaces/riverside-training/secrets/refresh-role"]["metadata"]["resourceVersion"] = "99"
    with pytest.raises(OperationError, match="riverside-training has no role refresh with"):
        wait_for_roles(cluster, "riverside", Notes(), Time().clock())


def test_the_operators_own_reason_is_told(cluster):
    ensure(cluster, "riverside", {}, NOW)
    path = "/apis/postgresql.cnpg.io/v1/namespaces/riverside-prod/clusters/postgresql"
    refused = {"refresh_source": ["no such role pg_read_all_data"]}
    cluster.objects[path] = {"status": {"managedRolesStatus": {"cannotReconcile": refused}}}
    with pytest.raises(OperationError) as told:
        wait_for_roles(cluster, "riverside", Notes(), Time().clock())
    assert told.value.problems[0].why == "no such role pg_read_all_data"


def test_a_pod_whose_isolated_copy_outgrew_its_volume_says_which_setting_gives_it_room():
    said = 'Usage of EmptyDir volume "isolated-data" exceeds the limit "10Gi". '
    over = {"name": "refresh-mask", "state": {"terminated": {"exitCode": 137}}}
    first, second = jobs.ending(
        [{"status": {"reason": "Evicted", "message": said, "containerStatuses": [over]}}],
    )
    assert first.startswith("the pod was ended (Evicted): Usage of EmptyDir volume")
    assert "refresh.sizes.isolated_storage" in first
    assert "refresh-mask ended with 137" in second


def test_memory_that_ran_out_is_called_that():
    state = {"name": "isolated-postgresql", "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    (line,) = jobs.ending([{"status": {"initContainerStatuses": [state]}}])
    assert line == "isolated-postgresql ended with 137 (killed: it needed more memory than its limit)"


def test_a_pod_that_no_node_takes_says_why():
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: insufficient memory"}
    pod = {"metadata": {}, "status": {"phase": "Pending", "conditions": [unscheduled]}}
    assert jobs.waiting_for([pod]) == "no node takes it: 0/1 nodes: insufficient memory"
    assert jobs.waiting_for([{"metadata": {}, "status": {"phase": "Succeeded"}}]) is None
