"""Removing originals, and links after a restore: everything re-read first, then deleted in the largest batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from offloader.errors import OffloaderError
from offloader.model import Document, Parent
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.salesforce import documents, soql, standing, trouble
from offloader_connectors.salesforce.api import HEAVY_PER_COMPOSITE, RECORDS_PER_COLLECTION, Answer, Api, Sub
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.scan import Scanner
from offloader_connectors.salesforce.standing import Finder, Standing

#: five collections of 200 deletions make one composite
BATCH = HEAVY_PER_COMPOSITE * RECORDS_PER_COLLECTION
DONE = Outcome(status=Status.DONE)


class Remover:
    """Deletes files, attachments and links. Thread-safe."""

    def __init__(self, api: Api, org: Org, scanner: Scanner, finder: Finder) -> None:
        self._api = api
        self._org = org
        self._scanner = scanner
        self._finder = finder

    def remove(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Delete originals of two-step kinds that are unchanged and whose link stands. In order."""
        outcomes: dict[int, Outcome] = {}
        for part in soql.chunks(range(len(requests)), BATCH):
            asked = [requests[index] for index in part]
            located = self._finder.locate(asked)
            originals, links = self._reread(asked, located)
            for index in part:
                each = requests[index]
                verdict = judge(each, originals.get(each.document.ref.id), links.get(located.get(each.link.id, "")))
                if verdict is not None:
                    outcomes[index] = verdict
            self._delete(
                [index for index in part if index not in outcomes], lambda i: requests[i].document.ref.id, outcomes
            )
        return [outcomes[index] for index in range(len(requests))]

    def unlink(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Delete links, but only what still is the link that was asked for."""
        outcomes: dict[int, Outcome] = {}
        waiting = [index for index, each in enumerate(requests) if not each.document.strategy.in_place]
        for part in soql.chunks(waiting, BATCH):
            located = self._finder.locate([requests[index] for index in part])
            links = self._finder.read(located.values())
            ids: dict[int, str] = {}
            for index in part:
                found = links.get(located.get(requests[index].link.id, ""))
                if found is None:
                    continue
                if found.url == requests[index].link.url:
                    ids[index] = found.document
                else:
                    outcomes[index] = Outcome(status=Status.CONFLICT, reason="the link was changed into something else")
            self._delete(list(ids), ids.__getitem__, outcomes)
        return [outcomes.get(index, DONE) for index in range(len(requests))]

    def _reread(
        self, requests: Sequence[LinkRequest], located: Mapping[str, str]
    ) -> tuple[dict[str, Document], dict[str, Standing]]:
        """Originals and links as they stand, by id: one composite for a thousand files of up to two versions each."""
        files = soql.unique(each.document.ref.id for each in requests if each.document.ref.kind == documents.FILES)
        attachments = soql.unique(
            each.document.ref.id for each in requests if each.document.ref.kind != documents.FILES
        )
        links = soql.unique(located.values())
        asked = [
            self._scanner.file_statements(files),
            self._scanner.attachment_statements(attachments),
            standing.statements(links),
        ]
        found = self._api.queries([statement for part in asked for statement in part]) if requests else []
        first, second = len(asked[0]), len(asked[0]) + len(asked[1])
        originals = [
            *self._scanner.build_files(files, found[:first]),
            *self._scanner.build_attachments(found[first:second]),
        ]
        return {each.ref.id: each for each in originals}, standing.build(links, found[second:], self._org)

    def _delete(self, indexes: Sequence[int], id_of: Callable[[int], str], outcomes: dict[int, Outcome]) -> None:
        parts = list(soql.chunks(indexes, RECORDS_PER_COLLECTION))
        if not parts:
            return
        subs = [
            Sub(
                "DELETE", f"composite/sobjects?ids={','.join(map(id_of, part))}&allOrNone=false", reference=f"d{number}"
            )
            for number, part in enumerate(parts)
        ]
        for part, answer in zip(parts, self._api.composite(subs, write=True), strict=True):
            outcomes.update(zip(part, _results(answer, len(part)), strict=True))


def _results(answer: Answer, expected: int) -> list[Outcome]:
    """What became of each deletion; where nothing can be said of a whole part, each of its items is tried again."""
    try:
        results = answer.require(write=True).results(expected)
    except OffloaderError as error:
        return [Outcome(status=Status.RETRY, reason=str(error))] * expected
    outcomes = []
    for result in results:
        errors = () if result.get("success") is True else trouble.item_errors(result)
        gone = not errors or errors[0].code in trouble.GONE
        outcomes.append(DONE if gone else _failed(errors))
    return outcomes


def _failed(errors: Sequence[trouble.ItemError]) -> Outcome:
    try:
        return trouble.outcome_of(errors)
    except OffloaderError as error:
        return Outcome(status=Status.RETRY, reason=str(error))


def judge(request: LinkRequest, original: Document | None, link: Standing | None) -> Outcome | None:
    """Say why this original may not be deleted, or that it is gone; None if it may."""
    if original is None:
        return Outcome(status=Status.DONE, reason="already gone")
    known = request.document
    attachment = known.ref.kind == documents.ATTACHMENTS
    conflicts = (
        (original.skip is not None, f"it must stay now: {original.skip.reason if original.skip else ''}"),
        (original.etag != known.etag, "it was changed since it was read"),
        (not documents.same_sharing(known.parents, original.parents), "its parents or their sharing changed"),
        (link is None, "its link is not there"),
    )
    reason = next((text for applies, text in conflicts if applies), None)
    if reason is None and link is not None:
        reason = link_fault(request, link, original.parents, ids_only=attachment)
    return Outcome(status=Status.CONFLICT, reason=reason) if reason else None


def link_fault(request: LinkRequest, link: Standing, parents: Sequence[Parent], *, ids_only: bool) -> str | None:
    """Say in what the link differs from the request; None if it stands."""
    if link.url != request.link.url:
        return "its link leads elsewhere"
    # whoever owns the link reads it anyway: the running user may own it in the place of an inactive owner
    wanted = [each for each in parents if each.id != link.owner]
    if request.link_ref.get("visibility") == "AllUsers":
        wanted = [documents.shown_to_all(each) for each in wanted]
    if not documents.same_sharing(wanted, link.parents, ids_only=ids_only):
        return "its link has other parents or another sharing"
    return None
