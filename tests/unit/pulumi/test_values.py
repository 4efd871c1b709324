"""Property values: what the engine sends and what it gets back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.pulumi.kubernetes_plugin.values import (
    UNKNOWN,
    UNKNOWN_SENTINELS,
    Secret,
    contains_secret,
    contains_unknown,
    decode,
    dig,
    encode,
    reveal,
    with_value,
    without,
)

SCALARS = st.one_of(st.booleans(), st.integers(-(2**50), 2**50), st.text().filter(lambda s: s not in UNKNOWN_SENTINELS))
TREES = st.recursive(
    st.one_of(SCALARS, st.just(UNKNOWN)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "c.d/e"]), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["x", "y", "z"]), TREES, max_size=3))
def test_what_is_encoded_is_decoded_to_the_same(data):
    assert decode(encode(data)) == data


def test_every_kind_of_unknown_the_engine_knows_is_unknown():
    assert all(decode(encode({"a": sentinel}))["a"] is UNKNOWN for sentinel in UNKNOWN_SENTINELS)
    assert len(UNKNOWN_SENTINELS) == 5


def test_nulls_are_left_out_and_whole_numbers_are_integers():
    decoded = decode(encode({"gone": None, "replicas": 3.0, "ratio": 0.5}))
    assert decoded == {"replicas": 3, "ratio": 0.5}
    assert isinstance(decoded["replicas"], int)


def test_an_unknown_cannot_be_mistaken_for_false():
    with pytest.raises(TypeError, match="no truth value"):
        bool(UNKNOWN)


def test_a_secret_is_never_printed():
    assert "hunter2" not in repr({"a": [Secret("hunter2")]})


def test_secrets_and_unknowns_are_found_wherever_they_are():
    assert contains_secret({"a": [{"b": Secret(1)}]})
    assert not contains_secret({"a": [{"b": 1}]})
    assert contains_unknown({"a": Secret([UNKNOWN])})
    assert not contains_unknown({"a": Secret([1])})


def test_revealing_takes_every_secret_apart():
    assert reveal({"a": Secret({"b": [Secret(1)]})}) == {"a": {"b": [1]}}


def test_setting_and_removing_a_path_leaves_the_original_alone():
    original = {"metadata": {"labels": {"a": "1"}}}
    assert with_value(original, ("metadata", "labels", "b"), "2")["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert without(original, ("metadata", "labels", "a")) == {"metadata": {"labels": {}}}
    assert without(original, ("spec", "missing")) == original
    assert original == {"metadata": {"labels": {"a": "1"}}}


def test_a_path_through_something_unknown_is_not_invented():
    assert with_value({"metadata": UNKNOWN}, ("metadata", "name"), "x") == {"metadata": UNKNOWN}
    assert dig({"metadata": UNKNOWN}, "metadata", "name") is None


def test_an_asset_in_an_object_is_refused():
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "path": "file"}
    with pytest.raises(ValueError, match="cannot hold an asset"):
        decode(encode({"data": asset}))
