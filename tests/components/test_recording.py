"""The recording engine itself: a test double that accepts anything proves nothing."""

from __future__ import annotations

import pulumi_kubernetes as kubernetes
import pytest

from tests.recording import record


def test_a_type_nobody_listed_stops_the_program():
    with pytest.raises(Exception, match="not among the types"):
        record(lambda: kubernetes.core.v1.Secret("surprise", string_data={"password": "clear"}))


def test_what_a_program_declares_is_recorded():
    recording = record(lambda: kubernetes.core.v1.Namespace("one", metadata={"name": "here"}))
    assert [resource.metadata["name"] for resource in recording.of("Namespace")] == ["here"]
