"""Links as they stand in the CRM: found by key, by title, by the parents' files, or by what an earlier call
returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from offloader.model import Parent
from offloader.ports import LinkRequest
from offloader_connectors.salesforce import documents, rows, soql
from offloader_connectors.salesforce.api import Api
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.rows import Row

_FIELDS = (
    "Id, ContentDocumentId, Title, ContentUrl, ContentDocument.OwnerId, "
    "ContentDocument.SharingOption, ContentDocument.SharingPrivacy"
)
IDS_PER_QUERY = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """One link file as the CRM shows it. `link_ids` names the ContentDocumentLink of each parent."""

    document: str
    version: str
    title: str
    url: str | None
    owner: str | None
    sharing_option: str | None
    sharing_privacy: str | None
    parents: tuple[Parent, ...] = ()
    link_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> dict[str, str]:
        return {"document": self.document, "version": self.version}


def link_title(request: LinkRequest) -> str:
    """The link's title: the document's own, with its extension, within the 255 characters of ContentVersion.Title."""
    extension = request.document.extra.get("extension")
    suffix = f".{extension}" if isinstance(extension, str) and extension else ""
    title = request.document.title
    if not suffix or title.lower().endswith(suffix.lower()):
        stem, dot, ending = title.rpartition(".")
        return title if len(title) <= 255 else f"{(stem if dot else title)[: 254 - len(ending)]}{dot}{ending}"[:255]
    return title[: 255 - len(suffix)] + suffix


def wanted_parents(request: LinkRequest) -> tuple[Parent, ...]:
    """What the link must be shared with; an attachment of a record has no sharing of its own."""
    if request.document.ref.kind == documents.ATTACHMENTS:
        return tuple(
            Parent(type=each.type, id=each.id, sharing=documents.ATTACHMENT_SHARING)
            for each in request.document.parents
        )
    return request.document.parents


def statements(ids: Sequence[str]) -> list[str]:
    """Statements that read link files by document id; hand their results to `build` in the same order."""
    latest = [
        soql.select(_FIELDS, "ContentVersion", f"ContentDocumentId IN {soql.id_list(part)} AND IsLatest = true")
        for part in soql.chunks(ids, IDS_PER_QUERY)
    ]
    return [*latest, *documents.links_by_document(ids, IDS_PER_QUERY)]


def build(ids: Sequence[str], found: Sequence[Sequence[Row]], org: Org) -> dict[str, Standing]:
    """Put the results of `statements` together, by document id."""
    half = len(found) // 2
    links = documents.by_document(row for part in found[half:] for row in part)
    result = {}
    for row in (row for part in found[:half] for row in part):
        document = rows.record_id(row, "ContentDocumentId")
        owner = rows.optional_id(row, "ContentDocument.OwnerId")
        own = links.get(document, [])
        result[document] = Standing(
            document=document,
            version=rows.record_id(row, "Id"),
            title=rows.optional(row, "Title") or "",
            url=rows.optional(row, "ContentUrl"),
            owner=owner,
            sharing_option=rows.optional(row, "ContentDocument.SharingOption"),
            sharing_privacy=rows.optional(row, "ContentDocument.SharingPrivacy"),
            parents=documents.parents_of(own, owner, org),
            link_ids={rows.record_id(link, "LinkedEntityId"): rows.record_id(link, "Id") for link in own},
        )
    return {each: result[each] for each in ids if each in result}


class Finder:
    """Finds the link that an earlier call may have made."""

    def __init__(self, api: Api, org: Org) -> None:
        self._api = api
        self._org = org

    def read(self, ids: Iterable[str]) -> dict[str, Standing]:
        """Read link files by their document ids; one call for a thousand and less."""
        wanted = soql.unique(ids)
        return build(wanted, self._api.queries(statements(wanted)), self._org) if wanted else {}

    def read_beside(self, ids: Iterable[str], originals: Iterable[str]) -> tuple[dict[str, Standing], set[str]]:
        """As `read`, and which of the originals are there, in the same call."""
        wanted, beside = soql.unique(ids), soql.unique(originals)
        asked = statements(wanted)
        kinds = ("ContentDocument", "Attachment")
        groups = {kind: [each for each in beside if self._org.type_of(each) == kind] for kind in kinds}
        more = [
            soql.select("Id", kind, f"Id IN {soql.id_list(part)}")
            for kind, members in groups.items()
            for part in soql.chunks(members, IDS_PER_QUERY)
        ]
        found = self._api.queries([*asked, *more])
        present = {rows.record_id(row, "Id") for part in found[len(asked) :] for row in part}
        return build(wanted, found[: len(asked)], self._org), present

    def locate(self, requests: Sequence[LinkRequest]) -> dict[str, str]:
        """Document id of each request's link, by link id; those that have none are left out."""
        found = {
            each.link.id: each.link_ref["document"]
            for each in requests
            if soql.is_id(each.link_ref.get("document", ""))
        }
        missing = [each for each in requests if each.link.id not in found]
        key = self._org.external_id()
        for search in (lambda left: self._by_key(key, left) if key else {}, self._by_title, self._by_parents):
            if missing:
                found.update(search(missing))
                missing = [each for each in missing if each.link.id not in found]
        return found

    def _by_key(self, key: str, requests: Sequence[LinkRequest]) -> dict[str, str]:
        parts = soql.chunks([each.link.id for each in requests], soql.IDS_PER_QUERY)
        asked = [
            soql.select(f"ContentDocumentId, {key}", "ContentVersion", f"{key} IN {soql.text_list(part)}")
            for part in parts
        ]
        found = (row for part in self._api.queries(asked) for row in part)
        return {rows.text(row, key): rows.record_id(row, "ContentDocumentId") for row in found}

    def _by_title(self, requests: Sequence[LinkRequest]) -> dict[str, str]:
        """Half-made links hang on no parent yet, but have their title, no bytes, and our address."""
        titles = soql.unique(link_title(each) for each in requests)
        asked = [
            soql.select(
                "ContentDocumentId, ContentUrl",
                "ContentVersion",
                f"Title IN {soql.text_list(part)} AND ContentSize = 0 AND IsLatest = true",
            )
            for part in soql.chunks(titles, 100)
        ]
        return _by_url(requests, (row for part in self._api.queries(asked) for row in part), "ContentUrl")

    def _by_parents(self, requests: Sequence[LinkRequest]) -> dict[str, str]:
        """Links whose title a user has changed still hang on the parents."""
        parents = soql.unique(parent.id for each in requests for parent in each.document.parents)
        asked = [
            soql.select(
                "ContentDocumentId, ContentDocument.LatestPublishedVersion.ContentUrl",
                "ContentDocumentLink",
                f"LinkedEntityId IN {soql.id_list(part)}",
            )
            for part in soql.chunks(parents, soql.IDS_PER_QUERY)
        ]
        found = (row for part in self._api.queries(asked) for row in part) if asked else ()
        return _by_url(requests, found, "ContentDocument.LatestPublishedVersion.ContentUrl")


def _by_url(requests: Sequence[LinkRequest], found: Iterable[Row], path: str) -> dict[str, str]:
    ids = {each.link.url: each.link.id for each in requests}
    matched = {}
    for row in found:
        url = rows.optional(row, path)
        if url in ids:
            matched[ids[url]] = rows.record_id(row, "ContentDocumentId")
    return matched
