"""What the API server says to a refresh, as people are told it."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.refresh.cluster import LiveCluster
from toolchain.cluster.errors import ApiRefused

DENIED = (
    "jobs.batch \"refresh-mask-1\" is forbidden: ValidatingAdmissionPolicy 'careops-refresh-riverside-classes' with "
    "binding 'careops-refresh-riverside-classes' denied request: training belongs to the class Sales basics (261201-a)"
)


class Refusing:
    def __init__(self, why):
        self.why = why

    def request(self, *_, **__):
        raise ApiRefused("The API server refused.", why=self.why, action="Correct it.", status=403)


def cluster(why):
    return LiveCluster(api=Refusing(why), kubectl=Path("kubectl"), kubeconfig=Path("kubeconfig"), environ={})  # ty: ignore[invalid-argument-type]  the API alone is asked


def test_a_job_that_class_hours_refuse_is_told_by_their_course_and_not_as_a_defect():
    with pytest.raises(OperationError, match="refresh-mask-1") as told:
        cluster(DENIED).create(
            "/apis/batch/v1/namespaces/riverside-refresh/jobs", {"metadata": {"name": "refresh-mask-1"}}
        )
    assert told.value.code is ExitCode.USAGE
    (problem,) = told.value.problems
    assert problem.why == "training belongs to the class Sales basics (261201-a)"


def test_another_refusal_stays_what_it_is():
    with pytest.raises(ApiRefused):
        cluster("quota exceeded").create("/apis", {"metadata": {"name": "refresh-mask-1"}})
