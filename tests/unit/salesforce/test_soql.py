"""Quoting, ids and datetimes of SOQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offloader.errors import Permanent
from offloader_connectors.salesforce import soql


class TestIds:
    @pytest.mark.parametrize(
        ("short", "long"),
        [
            ("0012300000bVTq1", "0012300000bVTq1AAG"),
            ("001Da00000xnAk6", "001Da00000xnAk6IAE"),
            ("001RM000003oLnn", "001RM000003oLnnYAE"),
            ("003RM0000068xVC", "003RM0000068xVCYAY"),
            ("0035500001H9kZu", "0035500001H9kZuAAJ"),
            ("750R0000000zlh9", "750R0000000zlh9IAA"),
        ],
    )
    def test_suffix(self, short: str, long: str) -> None:
        """An id of 15 characters gets the suffix that Salesforce itself gives it."""
        assert soql.id18(short) == long
        assert soql.id18(long) == long

    @pytest.mark.parametrize("text", ["", "001", "0012300000bVTq'", "0012300000bVTq1A", "0012300000bVTq1AA/", "ä" * 15])
    def test_refuses(self, text: str) -> None:
        """What has not the form of an id never reaches a query or an address."""
        with pytest.raises(Permanent):
            soql.id18(text)

    def test_list_quotes_ids_only(self) -> None:
        """An IN list takes ids and nothing that could end the list."""
        with pytest.raises(Permanent):
            soql.id_list(["0012300000bVTq1", "x') OR ('a'='a"])


class TestQuote:
    @given(st.text())
    def test_round_trip(self, text: str) -> None:
        """Undoing the escapes gives the text back, and no quote stands free in between."""
        literal = soql.quote(text)
        inner = literal[1:-1]
        undone, index = "", 0
        names = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
        while index < len(inner):
            if inner[index] == "\\":
                index += 1
                undone += names.get(inner[index], inner[index])
            else:
                assert inner[index] != "'"
                undone += inner[index]
            index += 1

        assert literal[0] == literal[-1] == "'"
        assert undone == text

    def test_hostile(self) -> None:
        """A title that tries to close the literal stays inside it."""
        assert soql.quote("x' OR Id != '") == "'x\\' OR Id != \\''"
        assert soql.quote("\\") == "'\\\\'"


class TestMoments:
    def test_parse(self) -> None:
        """The CRM's form of UTC is understood."""
        assert soql.moment("2013-05-07T22:07:19.000+0000") == datetime(2013, 5, 7, 22, 7, 19, tzinfo=UTC)

    def test_literal_rounds_down(self) -> None:
        """Fractions are cut, so that a filter never starts too late, and other zones become UTC."""
        when = datetime(2026, 1, 1, 1, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

        assert soql.literal(when) == "2026-01-01T00:00:00Z"
        assert soql.timestamp(when) == "2026-01-01T00:00:00.000+0000"


def test_chunks_cover_everything() -> None:
    """Chunks hold every item once, in order."""
    assert [list(part) for part in soql.chunks(range(5), 2)] == [[0, 1], [2, 3], [4]]
