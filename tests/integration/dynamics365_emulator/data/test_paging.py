"""Pages: their size, their links, and cookies that nobody may change."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest

from offloader_connectors.dynamics365.emulator.errors import DataverseError
from tests.integration.dynamics365_emulator.data.conftest import Plain, options_of, refusal

TWO = "odata.maxpagesize=2"


def _fill(plain: Plain, count: int = 5) -> list[str]:
    return [plain.note(name=f"n{number}.pdf") for number in range(count)]


def _all(plain: Plain, prefer: str = TWO, **options: str) -> list[str]:
    """All ids, page by page."""
    answer = plain.ask("annotation", prefer, **options)
    ids = [row["annotationid"] for row in answer["value"]]
    while "@odata.nextLink" in answer:
        answer = plain.follow("annotation", answer["@odata.nextLink"], prefer)
        ids += [row["annotationid"] for row in answer["value"]]
    return ids


@pytest.mark.parametrize("order", ["annotationid", "versionnumber", "filename desc", "createdon,filename desc", ""])
def test_every_row_comes_once(plain: Plain, order: str) -> None:
    """Pages in any order hold every row once, in that order."""
    _fill(plain)
    options = {"orderby": order} if order else {}
    ids = _all(plain, select="filename", **options)
    assert len(ids) == 5
    assert ids == plain.values("annotation", "annotationid", **options)


def test_page_is_capped(plain: Plain) -> None:
    """Without a wish, and with one above it, a page has as many rows as the platform allows."""
    plain.set(page_cap=3)
    _fill(plain)
    assert len(plain.ask("annotation")["value"]) == 3
    assert len(plain.ask("annotation", "odata.maxpagesize=5000")["value"]) == 3


def test_top_has_no_next_page(plain: Plain) -> None:
    """$top limits the answer and there is no link; beside maxpagesize it is ignored."""
    _fill(plain)
    answer = plain.ask("annotation", top="3")
    assert len(answer["value"]) == 3
    assert "@odata.nextLink" not in answer
    assert len(_all(plain, top="1")) == 5


def test_cookie_is_doubly_encoded(plain: Plain) -> None:
    """The link has the documented form: a cookie whose paging cookie is encoded once more."""
    _fill(plain)
    link = plain.ask("annotation", TWO, select="filename", filter="filesize gt 0")["@odata.nextLink"]
    query = urlsplit(link).query
    assert query.startswith("$select=filename&$filter=filesize%20gt%200&$skiptoken=%3Ccookie%20pagenumber=%222%22%20")
    assert "pagingcookie=%22%253ccookie%2520page%253d%25221%2522" in query
    assert query.endswith("%22%20istracking=%22False%22%20/%3E")
    token = options_of(link)["$skiptoken"]
    assert "<annotationid last=" in unquote(token)


def test_any_equivalent_encoding_is_taken(plain: Plain) -> None:
    """A client that decodes the link once and encodes it in its own way gets the same page."""
    _fill(plain)
    link = plain.ask("annotation", TWO, select="filename", orderby="filename")["@odata.nextLink"]
    own = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in options_of(link).items())
    own_link = f"{link.partition('?')[0]}?{own}"
    assert own_link != link
    assert plain.follow("annotation", own_link, TWO) == plain.follow("annotation", link, TWO)


def test_token_can_be_used_again(plain: Plain) -> None:
    """The same token gives the same page."""
    _fill(plain)
    link = plain.ask("annotation", TWO)["@odata.nextLink"]
    assert plain.follow("annotation", link, TWO)["value"] == plain.follow("annotation", link, TWO)["value"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('pagenumber="2"', 'pagenumber="3"'),
        ("%3cannotationid", "%3csubject"),
        ("last%3d%22%7b", "last%3d%22%7b0"),
        ("<cookie", "<biscuit"),
    ],
)
def test_changed_cookie_is_refused(plain: Plain, old: str, new: str) -> None:
    """A token that is not what the server wrote is a 400 of its own."""
    _fill(plain)
    options = options_of(plain.ask("annotation", TWO)["@odata.nextLink"])
    token = options["$skiptoken"]
    assert old in token
    with pytest.raises(DataverseError) as caught:
        plain.ask("annotation", TWO, skiptoken=token.replace(old, new))
    assert refusal(caught) == (400, "0x8004112a")


@pytest.mark.parametrize("changed", [{"filter": "filesize gt 1"}, {"select": "subject"}, {"orderby": "filename"}])
def test_cookie_of_another_query_is_refused(plain: Plain, changed: dict[str, str]) -> None:
    """A token belongs to its query."""
    _fill(plain)
    options = options_of(plain.ask("annotation", TWO, select="filename", filter="filesize gt 0")["@odata.nextLink"])
    given = {name.removeprefix("$"): value for name, value in options.items()} | changed
    with pytest.raises(DataverseError) as caught:
        plain.ask("annotation", TWO, **given)
    assert refusal(caught) == (400, "0x8004112a")


def test_rows_may_come_and_go_between_pages(plain: Plain) -> None:
    """The row that a page ended with may be deleted: the next page goes on behind its place."""
    _fill(plain, 6)
    first = plain.ask("annotation", TWO, orderby="versionnumber")
    plain.remove("annotation", first["value"][-1]["annotationid"])
    second = plain.follow("annotation", first["@odata.nextLink"], TWO)
    assert len({row["annotationid"] for page in (first, second) for row in page["value"]}) == 4


def test_row_version_gap(plain: Plain) -> None:
    """With open transactions, a row appears below a row version that was already seen."""
    plain.set(late_commit=40)
    for _ in range(30):
        plain.note()
    seen = max(plain.values("annotation", "versionnumber", select="versionnumber"))
    known = set(plain.values("annotation", "annotationid"))
    plain.note(), plain.note()
    late = [
        row["versionnumber"]
        for row in plain.ask("annotation", select="versionnumber")["value"]
        if row["annotationid"] not in known
    ]
    assert min(late) < seen
    versions = plain.values("annotation", "versionnumber", select="versionnumber")
    assert len(set(versions)) == len(versions)
