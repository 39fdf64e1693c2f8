from __future__ import annotations

import hashlib
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from offloader.errors import AuthError, Exhausted, IntegrityError, Permanent, Throttled, Transient
from offloader.gateway.headers import SAFETY
from offloader.model import State
from offloader.ports import Access

LINK_ID = "abcdefgh234567abcdefgh2345"
LINK = f"/d/{LINK_ID}"
BODY = bytes(range(256)) * 1000


def test_a_permitted_user_gets_the_bytes(bench: Any, get: Any) -> None:
    """Who may read the document gets its newest version, as a harmless download."""
    bench.move(b"old", BODY, name="Größe.pdf")
    answer = get()

    assert answer.status_code == 200
    assert answer.content == BODY
    assert answer.headers["Content-Length"] == str(len(BODY))
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(BODY).hexdigest()}"'
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "Set-Cookie" not in answer.headers
    assert bench.store.open_reads == 0
    for name, value in SAFETY.items():
        assert answer.headers[name] == value


def test_each_version_has_its_address(bench: Any, get: Any) -> None:
    """`/v/1` is the oldest version; a number that does not exist looks like an unknown link."""
    bench.move(b"old", b"new")

    assert get(f"{LINK}/v/1").content == b"old"
    assert get(f"{LINK}/v/2").content == get().content == b"new"
    assert get(f"{LINK}/v/3").content == get(f"{LINK}/v/x").content == get("/d/unknown-link").content


def test_a_version_that_the_crm_no_longer_lists_is_not_the_newest(bench: Any, get: Any) -> None:
    """The newest version is the newest one that the CRM listed last."""
    entry = bench.move(b"one", b"two")
    bench.entries[LINK_ID] = replace(entry, versions=(entry.versions[0], replace(entry.versions[1], gone=True)))

    assert get().content == b"one"


def test_the_crm_is_asked_on_every_click(bench: Any, get: Any) -> None:
    """Access that the CRM takes away is gone with the next click."""
    entry = bench.move(b"x")
    before = get().status_code
    anna = next(key for key, name in bench.source.crm.users.items() if name == "anna")
    bench.source.crm.revoke(anna, (entry.document.parents[0].type, entry.document.parents[0].id))

    assert (before, get().status_code) == (200, 404)
    assert bench.source.asked == ["anna", "anna"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_allowed_looks_like_not_there(bench: Any, get: Any, method: str) -> None:
    """A forbidden, an unknown and a malformed link, and an unknown address, answer the same in every byte."""
    bench.move(b"secret")
    forbidden = get(user="boris", method=method)
    others = [
        get(user="nobody", method=method),
        get("/d/zzzzzzzz234567abcdefgh2345", method=method),
        get("/d/%2e%2e%2fetc", method=method),
        get(f"/d/{'a' * 500}", method=method),
        get("/d/x'--", method=method),
        get(f"{LINK}/", user="boris", method=method),
        get(f"{LINK}/v/1", user="boris", method=method),
        get("/somewhere", method=method),
        get(LINK, method="POST") if method == "GET" else forbidden,
    ]

    assert forbidden.status_code == 404
    for other in others:
        assert (other.status_code, other.content) == (forbidden.status_code, forbidden.content)
        assert other.headers == forbidden.headers


@pytest.mark.parametrize(
    "answers", [[Access.UNKNOWN], [Access.NO], [], [Access.YES, Access.YES], [Access.NO, Access.YES]]
)
def test_only_one_clear_yes_opens(bench: Any, get: Any, answers: list[Access]) -> None:
    """Unknown is no, and so is an answer that does not fit the question."""
    bench.move(b"secret")
    bench.source.answers = answers

    assert get().status_code == 404


def test_a_link_without_its_source_or_url_is_unknown(bench: Any, get: Any) -> None:
    """A document whose source is not configured, or that was never linked, cannot be opened."""
    entry = bench.move(b"secret")
    ref = replace(entry.document.ref, source="other")
    bench.entries[LINK_ID] = replace(entry, document=replace(entry.document, ref=ref))
    without_source = get().status_code
    bench.entries[LINK_ID] = replace(entry, link=None)

    assert (without_source, get().status_code) == (404, 404)


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (Transient("key documents/crm/1"), "10"),
        (Transient("x", retry_after=timedelta(seconds=2.5)), "3"),
        (Throttled("x", retry_after=timedelta(0)), "1"),
        (Exhausted("x"), "300"),
        (Exhausted("x", resume_after=timedelta(hours=1)), "3600"),
        (AuthError("token abc"), "10"),
        (Permanent("x"), "10"),
    ],
)
def test_a_crm_that_does_not_answer_opens_nothing(bench: Any, get: Any, failure: Any, seconds: str) -> None:
    """While the CRM cannot be asked nothing opens, and the answer says when to try again, and no more."""
    bench.move(b"secret")
    bench.source.failure = failure
    answer = get()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == seconds
    assert answer.text == "Please try again later.\n"


@pytest.mark.parametrize(
    ("state", "word"), [(State.ERASED, "erased"), (State.RESTORED, "put back"), (State.SEEN, "not in the archive")]
)
def test_what_is_gone_says_why_to_who_may_know(bench: Any, get: Any, state: State, word: str) -> None:
    """Who may read a document that is not here learns why; everybody else sees an unknown link."""
    entry = bench.move(b"x", state=state)
    if state is State.SEEN:
        bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=()),))
    answer = get()

    assert answer.status_code == 410
    assert word in answer.text
    assert get(user="boris").status_code == 404


def test_an_unproven_copy_is_not_served(bench: Any, get: Any) -> None:
    """A copy that was never verified is as good as none."""
    entry = bench.move(b"x", state=State.COPIED)
    copy = replace(entry.versions[0].copies[0], verified_at=None)
    bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=(copy,)),))

    assert get().status_code == 410


def test_the_next_copy_is_taken_when_one_is_gone(bench: Any, get: Any) -> None:
    """A missing object is looked for in the document's other copies; if none has it, the answer is 410."""
    entry = bench.move(b"x")
    copy = entry.versions[0].copies[0]
    missing = replace(copy, key="documents/missing")
    bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=(missing, copy)),))
    with_another = get()
    bench.store.delete(copy.key)

    assert with_another.content == b"x"
    assert get().status_code == 410


def test_a_store_that_is_not_there_is_no_loss(bench: Any, get: Any) -> None:
    """A store that fails, or is not configured here, says try again, never gone."""
    entry = bench.move(b"x")
    bench.store.failure = Transient("documents/crm/1")
    failing = get()
    elsewhere = replace(entry.versions[0].copies[0], store="elsewhere")
    bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=(elsewhere,)),))

    assert (failing.status_code, get().status_code) == (503, 503)
    assert "documents" not in failing.text


def test_head_tells_what_get_would_send(bench: Any, get: Any) -> None:
    """HEAD has the headers of GET and no body."""
    bench.move(BODY)
    head = get(method="HEAD")

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers == get().headers
    assert get(method="HEAD", Range="bytes=0-1").headers == head.headers
    assert bench.store.open_reads == 0


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=255990-", 255990, 255999),
        ("bytes=-10", 255990, 255999),
        ("bytes=100-999999999", 100, 255999),
        ("bytes=-999999999", 0, 255999),
    ],
)
def test_one_range(bench: Any, get: Any, asked: str, first: int, last: int) -> None:
    """One range is served as 206 with just these bytes."""
    bench.move(BODY)
    answer = get(Range=asked)
    whole = last - first + 1 == len(BODY)

    assert answer.content == BODY[first : last + 1]
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.status_code == (200 if whole else 206)
    assert answer.headers.get("Content-Range") == (None if whole else f"bytes {first}-{last}/{len(BODY)}")


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=-", "bytes=9-5", "lines=1-2", "bytes=a-b", "bytes= 1-2", ""])
def test_other_ranges_give_the_whole(bench: Any, get: Any, asked: str) -> None:
    """Several ranges, other units and nonsense are ignored."""
    bench.move(BODY)

    assert (get(Range=asked).status_code, get(Range=asked).content) == (200, BODY)


@pytest.mark.parametrize("asked", ["bytes=256000-", "bytes=-0", "bytes=999999-9999999"])
def test_a_range_outside(bench: Any, get: Any, asked: str) -> None:
    """A range behind the end is answered by 416 with the size."""
    bench.move(BODY)
    answer = get(Range=asked)

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */256000"


def test_a_range_of_another_edition_gives_the_whole(bench: Any, get: Any) -> None:
    """If-Range with the present ETag serves the range, with any other the whole document."""
    bench.move(BODY)
    etag = get().headers["ETag"]

    assert get(Range="bytes=0-4", If_Range=etag).status_code == 206
    assert get(Range="bytes=0-4", If_Range='"old"').content == BODY


def test_an_empty_document(bench: Any, get: Any) -> None:
    """An empty document is an empty answer, and has no ranges."""
    bench.move(b"")

    assert (get().status_code, get().content, get().headers["Content-Length"]) == (200, b"", "0")
    assert get(Range="bytes=0-").status_code == 416


def test_a_damaged_body_is_never_whole(bench: Any, get: Any) -> None:
    """Other, fewer or more bytes than the ledger knows break the answer off before its end."""
    entry = bench.move(BODY)
    bench.store.corrupt(entry.versions[0].copies[0].key)
    with pytest.raises(IntegrityError, match="not the one"):
        get()
    digest = replace(entry.versions[0].copies[0].digest, size=len(BODY) + 1)
    copy = replace(entry.versions[0].copies[0], digest=digest)
    bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=(copy,)),))
    with pytest.raises(IntegrityError, match="shorter"):
        get()
    copy = replace(copy, digest=replace(digest, size=len(BODY) - 1))
    bench.entries[LINK_ID] = replace(entry, versions=(replace(entry.versions[0], copies=(copy,)),))
    with pytest.raises(IntegrityError, match="longer"):
        get()

    assert bench.store.open_reads == 0


def test_a_body_that_breaks_off_names_nothing(bench: Any, get: Any) -> None:
    """A read that fails in the middle breaks the answer off, without the store's words about it."""
    bench.move(BODY)
    bench.store.failure = Transient("documents/crm/secret")
    bench.store.breaks_after = 2
    with pytest.raises(IntegrityError) as caught:
        get()

    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert bench.store.open_reads == 0


def test_health(get: Any) -> None:
    """The health check needs no login."""
    assert (get("/healthz", user=None).status_code, get("/healthz", user=None).text) == (200, "ok\n")


def test_without_a_login_nothing_is_said(bench: Any, get: Any) -> None:
    """Without an identity every link answers 401, and neither ledger nor CRM is asked."""
    bench.move(b"x")
    known, unknown = get(user=None), get("/d/zzzzzzzz234567abcdefgh2345", user=None)

    assert known.status_code == unknown.status_code == 401
    assert known.content == unknown.content
    assert known.headers["WWW-Authenticate"].endswith('realm="offloader"')
    assert (bench.looked_up, bench.source.asked) == ([], [])


def test_a_malformed_link_takes_the_same_way(bench: Any, get: Any) -> None:
    """A malformed id is looked up as one that exists nowhere, and never reaches the ledger itself."""
    get("/d/x'--")

    assert bench.looked_up == ["-" * 26]
