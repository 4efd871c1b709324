"""What is said of a certificate that is not good."""

from __future__ import annotations

import pytest

from operations.anonymise.certificate import Outcome, Verdict
from operations.refresh.evidence import action


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.GENUINE}))
def test_whatever_is_wrong_with_a_certificate_there_is_something_to_do(outcome: Outcome):
    assert len(action(Verdict(outcome=outcome))) > 20
