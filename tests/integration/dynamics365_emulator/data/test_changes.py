"""Change tracking: links to changes, deleted rows, what is refused, and when a token is too old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from offloader_connectors.dynamics365.emulator import query
from offloader_connectors.dynamics365.emulator.errors import DataverseError
from offloader_connectors.dynamics365.emulator.prefer import Prefer
from tests.integration.dynamics365_emulator.data.conftest import NOON, Plain, options_of, refusal

TRACK = "odata.track-changes"


def _start(plain: Plain, **options: str) -> str:
    return str(plain.ask("annotation", TRACK, **options)["@odata.deltaLink"])


def test_first_answer_has_all_rows_and_a_link(plain: Plain) -> None:
    """The link has the query's $select and a token of row version and time."""
    note = plain.note()
    answer = plain.ask("annotation", TRACK, select="filename")
    assert [row["annotationid"] for row in answer["value"]] == [note]
    link = answer["@odata.deltaLink"]
    assert link.endswith(f"$select=filename&$deltatoken={plain.org.store.version}%2103%2f01%2f2026%2012%3a00%3a00")


def test_changes_since_the_link(plain: Plain) -> None:
    """Later the link gives what was made, changed or deleted, and a new link."""
    changed, gone, still = plain.note(), plain.note(), plain.note()
    link = _start(plain, select="filename")
    plain.change("annotation", changed, filename="new.pdf")
    plain.remove("annotation", gone)
    made = plain.note()
    answer = plain.follow("annotation", link)
    assert answer["@odata.context"].endswith("$metadata#annotations(filename)/$delta")
    rows = {row["annotationid"]: row for row in answer["value"] if "annotationid" in row}
    assert set(rows) == {changed, made}
    assert still not in rows
    (deleted,) = (row for row in answer["value"] if "reason" in row)
    context = f"{plain.org.root}$metadata#annotations/$deletedEntity"
    assert deleted == {"@odata.context": context, "id": gone, "reason": "deleted"}
    assert answer["@odata.deltaLink"] != link
    assert plain.follow("annotation", answer["@odata.deltaLink"])["value"] == []


def test_row_made_and_deleted_in_between_is_a_deleted_one(plain: Plain) -> None:
    """A client hears of deleted rows that it never knew."""
    link = _start(plain)
    note = plain.note()
    plain.remove("annotation", note)
    assert [row["id"] for row in plain.follow("annotation", link)["value"]] == [note]


def test_deleted_with_its_parent(plain: Plain) -> None:
    """A note that went with its account is reported too."""
    account = plain.account()
    note = plain.note(parent=("account", account))
    link = _start(plain)
    plain.remove("account", account)
    assert [row["id"] for row in plain.follow("annotation", link)["value"]] == [note]


def test_retained_rows_are_not_reported(plain: Plain) -> None:
    """A row that moved to retention is neither listed nor said to be deleted."""
    note = plain.note()
    link = _start(plain)
    plain.org.retain("annotation", note)
    assert plain.follow("annotation", link)["value"] == []
    assert plain.ask("annotation")["value"] == []


def test_pages_of_a_tracked_list(plain: Plain) -> None:
    """Only the last page has the link to changes, and what changed while paging comes with it."""
    notes = [plain.note() for _ in range(5)]
    prefer = f"{TRACK},odata.maxpagesize=2"
    answer = plain.ask("annotation", prefer, select="filename")
    seen = list(answer["value"])
    plain.change("annotation", notes[0], filename="while.pdf")
    while "@odata.nextLink" in answer:
        assert "@odata.deltaLink" not in answer
        assert 'istracking="True"' in options_of(answer["@odata.nextLink"])["$skiptoken"]
        answer = plain.follow("annotation", answer["@odata.nextLink"], prefer)
        seen += answer["value"]
    assert {row["annotationid"] for row in seen} == set(notes)
    assert [row["annotationid"] for row in plain.follow("annotation", answer["@odata.deltaLink"])["value"]] == notes[:1]


def test_pages_of_changes(plain: Plain) -> None:
    """Changes come in pages as well, deleted rows among them."""
    notes = [plain.note() for _ in range(4)]
    link = _start(plain)
    for note in notes[:2]:
        plain.remove("annotation", note)
    for note in notes[2:]:
        plain.change("annotation", note, subject="x")
    answer = plain.follow("annotation", link, "odata.maxpagesize=3")
    more = plain.follow("annotation", answer["@odata.nextLink"], "odata.maxpagesize=3")
    assert len(answer["value"]) == 3
    assert len(more["value"]) == 1
    assert "@odata.deltaLink" in more


@pytest.mark.parametrize("name", ["filter", "orderby", "expand", "top"])
def test_refused_options(plain: Plain, name: str) -> None:
    """A tracked list cannot be filtered, ordered, expanded or limited."""
    values = {"filter": "filesize gt 1", "orderby": "filename", "expand": "ownerid", "top": "1"}
    text = f"""The "\\${name}" query parameter isn't supported when Change Tracking is enabled."""
    with pytest.raises(DataverseError, match=text) as caught:
        plain.ask("annotation", TRACK, **{name: values[name]})
    assert caught.value.status == 400


def test_table_without_change_tracking(plain: Plain) -> None:
    """activitymimeattachment is not tracked, unless the environment is told so; attachments are."""
    with pytest.raises(DataverseError, match="isn't enabled for change tracking") as caught:
        plain.ask("activitymimeattachment", TRACK)
    assert refusal(caught) == (400, "0x80072491")
    assert "@odata.deltaLink" in plain.ask("attachment", TRACK)
    plain.set(mail_tracking=True)
    assert "@odata.deltaLink" in plain.ask("activitymimeattachment", TRACK)


def test_token_expires(plain: Plain) -> None:
    """After the organization's days a token is refused; within them it is not."""
    link = _start(plain)
    plain.org.shift = timedelta(days=6, hours=23)
    assert "@odata.deltaLink" in plain.follow("annotation", link)
    plain.org.shift = timedelta(days=7, seconds=1)
    with pytest.raises(DataverseError, match="Please perform a full sync") as caught:
        plain.follow("annotation", link)
    assert refusal(caught) == (400, "0x80044352")


@pytest.mark.parametrize("token", ["", "nonsense", "12"])
def test_token_that_is_none(plain: Plain, token: str) -> None:
    """A token that was never given out is refused."""
    with pytest.raises(DataverseError):
        plain.ask("annotation", deltatoken=token)


def test_count_of_changes(plain: Plain) -> None:
    """`/$count?$deltatoken=…` says how many rows changed."""
    plain.note()
    options = options_of(_start(plain))
    plain.note(), plain.note()
    assert query.count(plain.org, plain.me, "annotation", options) == 2


def test_open_transactions_are_not_lost(plain: Plain) -> None:
    """With open transactions, rows that appear below the newest row version still come with the next link."""
    plain.set(late_commit=20)
    for _ in range(20):
        plain.note()
    link = _start(plain)
    made = {plain.note() for _ in range(8)}
    answer: dict[str, Any] = query.records(plain.org, plain.me, "annotation", options_of(link), Prefer.parse(None))
    assert made <= {row["annotationid"] for row in answer["value"]}
    assert plain.org.now() == NOON
