"""Watermarks and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import Permanent
from offloader_connectors.dynamics365.marks import Mark, Seen


@given(
    st.builds(
        Mark,
        options=st.text(max_size=5),
        full=st.booleans(),
        user=st.text(max_size=5),
        delta=st.text(max_size=20),
        look_back=st.booleans(),
        cut=st.text(max_size=20),
        link=st.text(max_size=20),
        last=st.none() | st.integers(0, 2**60),
    ),
    st.lists(st.integers(1, 9000), max_size=200),
    st.integers(0, 6000),
)
def test_a_mark_survives_as_text(mark: Mark, versions: list[int], overlap: int) -> None:
    """What is written is what is read, row versions included."""
    seen = Seen().with_(versions, overlap)
    whole = Mark(**{name: getattr(mark, name) for name in Mark.__slots__ if name != "seen"}, seen=seen)

    assert Mark.of(whole.to_text(), "watermark") == whole


@given(st.lists(st.integers(1, 300), unique=True), st.lists(st.integers(1, 300), unique=True), st.integers(0, 50))
def test_versions_are_known_as_far_back_as_the_overlap(first: list[int], second: list[int], overlap: int) -> None:
    """All listed versions above top minus overlap are known, and no others."""
    seen = Seen().with_(first, overlap).with_(second, overlap)
    top = max([*first, *second], default=0)

    assert seen.top == top
    known = {each for each in range(301) if each in seen}
    assert known <= {*first, *second}
    assert {each for each in second if each > top - overlap} <= known


def test_a_large_window_is_short() -> None:
    """Five thousand consecutive versions, or every third of them, take less than a kilobyte."""
    for step in (1, 3):
        text = Mark(seen=Seen().with_(range(10**9, 10**9 + 5000, step), 5000)).to_text()
        assert len(text) < 1024


def test_a_fixed_top_leaves_newer_versions_out() -> None:
    """Versions above a listing's beginning are to be found again, so they do not count as known."""
    seen = Seen(100).with_([90, 100, 101, 150], 50, top=100)

    assert (seen.top, 90 in seen, 101 in seen) == (100, True, False)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "5", '{"unknown":1}', '{"listed":"?"}', '{"version":"x"}', '{"version":5,"listed":"AAAA"}']
)
def test_what_is_no_mark_is_an_error_with_a_remedy(text: str) -> None:
    """A text that we did not write asks for a full scan."""
    with pytest.raises(Permanent, match="scan in full"):
        Mark.of(text, "watermark")
