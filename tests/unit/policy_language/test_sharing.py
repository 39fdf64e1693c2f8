"""What a policy file says about equal bytes."""

from __future__ import annotations

import pytest

from offloader.errors import ConfigError
from offloader_policies.language import lint
from tests.unit.policy_language.conftest import NOW, Open


def test_documents_share_only_where_the_file_says_so(policy: Open) -> None:
    """`duplicates: share` stands in the terms; a file that says nothing keeps copies apart, and any other word is an
    error."""
    assert policy("policy: x\nduplicates: share\n").terms.duplicates == "share"
    assert policy("policy: x\n").terms.duplicates == "apart"
    with pytest.raises(ConfigError, match="duplicates"):
        policy("policy: x\nduplicates: often\n")


def test_a_plan_is_void_when_sharing_is_allowed_later(policy: Open) -> None:
    """The word is part of the fingerprint, but for the value that stands where nothing is said."""
    silent, apart, share = (
        policy(f"policy: x\n{line}").fingerprint for line in ("", "duplicates: apart\n", "duplicates: share\n")
    )
    assert silent == apart != share


@pytest.mark.parametrize(("below", "above", "weaker"), [("apart", "share", True), ("share", "apart", False)])
def test_a_layer_that_lets_documents_share_after_all_is_found(
    policy: Open, below: str, above: str, weaker: bool
) -> None:
    """A higher layer that lets copies be shared which a lower one keeps apart is named with both places."""
    opened = policy(
        f"policy: x\nextends: below.yaml\nduplicates: {above}\n", below_yaml=f"policy: y\nduplicates: {below}\n"
    )
    found = [each for each in lint.findings(opened, (), NOW) if "duplicates" in each.message or "share" in each.message]

    assert [each.code == "weaker" for each in found] == [weaker]
    assert "below.yaml:2" in found[0].message
