"""Listing documents: whole files and attachments, page by page, resumable, and only what changed since a watermark.

A file is listed by its versions (ContentVersion) and its links (ContentDocumentLink); a query that is not filtered by
id shows a user only what is shared with that user, unless the permission Query All Files says otherwise (Object
Reference, ContentVersion). Attachments of e-mails show only with Modify All Data (Object Reference, Attachment). A
change of a parent's own fields touches no file, so an incremental scan does not see it; a full scan does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from offloader.errors import OffloaderError, Permanent, Transient
from offloader.model import Document, DocumentRef, Finding, Severity
from offloader.ports import Page
from offloader_connectors.salesforce import documents, org, rows, skip, soql
from offloader_connectors.salesforce.api import Api, Statement
from offloader_connectors.salesforce.options import SalesforceOptions
from offloader_connectors.salesforce.org import Org, Permissions
from offloader_connectors.salesforce.rows import Row
from offloader_connectors.salesforce.signals import Signals, merged

#: three queries of links and two of feed posts make one composite for a page of 2,000 versions
_LINKS_PER_QUERY = 700
_POSTS_PER_QUERY = 1000
_LINKS_PER_READ = 1000
#: changed documents are read this many at a time
_CHANGED_PER_PAGE = 500

FILES_HIDDEN = Finding(
    Severity.WARNING,
    "no-query-all-files",
    "The running user lacks the permission Query All Files (or the org does not tell).",
    remedy="Give the user Query All Files and View All Data in a permission set.",
    hides="files that are neither owned by nor shared with this user, such as those seen only through a record",
)
EMAILS_HIDDEN = Finding(
    Severity.WARNING,
    "no-modify-all-data",
    "The running user lacks the permission Modify All Data (or the org does not tell).",
    remedy="Give the user Modify All Data in a permission set.",
    hides="classic attachments of e-mail messages",
)
LINKS_HIDDEN = Finding(
    Severity.WARNING,
    "links-not-listed",
    "Salesforce refuses to list file links by time for this user.",
    remedy="Give the user Query All Files and View All Data, or scan in full now and then.",
    hides="files whose sharing changed while their content did not",
)


class Scanner:
    """Lists and reads documents of one org."""

    def __init__(self, source: str, api: Api, facts: Org, options: SalesforceOptions) -> None:
        self._source = source
        self._api = api
        self._org = facts
        self._options = options
        self._configured = merged(options.signals)
        self._posts_readable = True

    def scan(self, kind: str, since: str | None, cursor: str | None) -> Iterator[Page]:
        if kind not in self._options.kinds:
            raise Permanent(f"the source {self._source} has no kind {kind!r}")
        start, mark = _parsed(cursor, "cursor"), _parsed(since, "watermark")
        if since is not None and "at" not in mark:
            raise Permanent("the watermark cannot be read; scan in full")
        last = start.get("last", "")
        if kind == documents.ATTACHMENTS:
            first = [self._attachment_page(last, mark)]
        else:
            first = self._changes(mark) if mark else [(self._file_page(last), False)]
        permissions, found = self._org.permissions_beside(first)
        at = start.get("at") or (soql.literal(permissions.at) if permissions.at else None)
        if at is None:
            raise Permanent("scan: Salesforce's answer has no Date header, so no watermark can be set")
        state = {"at": at, "last": last}
        signals = self._signals()
        blind = self._blind_spots(kind, permissions)
        if kind == documents.ATTACHMENTS:
            pages = self._attachments(state, mark, signals, _required(found[0]))
        elif mark:
            pages = self._changed_files(state, mark, signals, permissions, found)
        else:
            pages = self._files(state, signals, permissions, _required(found[0]))
        for page in pages:
            yield replace(page, blind_spots=(*blind, *page.blind_spots))

    def fetch(self, refs: Sequence[DocumentRef], *, signals: bool = True) -> list[Document | None]:
        """Read documents afresh, in order; without signals where only content and sharing matter."""
        found: dict[DocumentRef, Document] = {}
        files = soql.unique(ref.id for ref in refs if ref.kind == documents.FILES)
        attachments = soql.unique(ref.id for ref in refs if ref.kind == documents.ATTACHMENTS)
        for document in (*self.read_files(files), *self.read_attachments(attachments)):
            found[document.ref] = document
        if signals and found:
            found = {each.ref: each for each in self._signals().annotate(found.values())}
        return [found.get(ref) for ref in refs]

    def refresh(self, found: Sequence[Document]) -> list[Document]:
        """The documents with their parents' signals as they are now; reads no document."""
        return self._signals().annotate(found)

    def read_files(self, ids: Sequence[str]) -> list[Document]:
        """Read whole files by their ids, without signals; those that are not there are left out."""
        return self.build_files(ids, self._api.queries(self.file_statements(ids))) if ids else []

    def read_attachments(self, ids: Sequence[str]) -> list[Document]:
        """Read classic attachments by their ids, without signals; those that are not there are left out."""
        return self.build_attachments(self._api.queries(self.attachment_statements(ids))) if ids else []

    def file_statements(self, ids: Sequence[str]) -> list[str]:
        """Statements that read files with all versions and links; hand their results to `build_files` in this order."""
        fields = documents.version_fields(self._org) if ids else ""
        versions = [
            soql.select(fields, "ContentVersion", f"ContentDocumentId IN {soql.id_list(part)}")
            for part in soql.chunks(ids, soql.IDS_PER_QUERY)
        ]
        return [*versions, *documents.links_by_document(ids, _LINKS_PER_READ)]

    def build_files(self, ids: Sequence[str], found: Sequence[Sequence[Row]]) -> list[Document]:
        """Put the results of `file_statements` together."""
        first = -(-len(ids) // soql.IDS_PER_QUERY)
        versions = documents.by_document(row for part in found[:first] for row in part)
        links = documents.by_document(row for part in found[first:] for row in part)
        return [
            documents.file_document(self._source, versions[each], links.get(each, ()), self._org)
            for each in ids
            if each in versions
        ]

    @staticmethod
    def attachment_statements(ids: Sequence[str]) -> list[str]:
        return [
            soql.select(documents.ATTACHMENT_FIELDS, "Attachment", f"Id IN {soql.id_list(part)}")
            for part in soql.chunks(ids, _LINKS_PER_READ)
        ]

    def build_attachments(self, found: Sequence[Sequence[Row]]) -> list[Document]:
        return [documents.attachment_document(self._source, row, self._org) for part in found for row in part]

    def _signals(self) -> Signals:
        return Signals(self._api, self._org, self._configured)

    @staticmethod
    def _blind_spots(kind: str, permissions: Permissions) -> tuple[Finding, ...]:
        if kind == documents.ATTACHMENTS:
            return () if permissions.get(org.MODIFY_ALL_DATA) else (EMAILS_HIDDEN,)
        return () if permissions.get(org.QUERY_ALL_FILES) else (FILES_HIDDEN,)

    # -- files --------------------------------------------------------------------------------------------------

    def _file_page(self, last: str) -> str:
        after = f"ContentDocumentId > '{soql.id18(last)}'" if last else ""
        tail = f"ORDER BY ContentDocumentId, Id LIMIT {self._options.page_size}"
        return soql.select(documents.version_fields(self._org), "ContentVersion", after, tail)

    def _files(
        self, state: dict[str, str], signals: Signals, permissions: Permissions, found: Sequence[Row]
    ) -> Iterator[Page]:
        """Keyset pages over all versions. The last document of a full page may be cut, so it waits for the next one."""
        while True:
            grouped = documents.by_document(found)
            more = len(found) >= self._options.page_size
            if more and len(grouped) == 1:
                only = next(iter(grouped))
                fields = documents.version_fields(self._org)
                grouped[only] = self._api.query(soql.select(fields, "ContentVersion", f"ContentDocumentId = '{only}'"))
            elif more:
                grouped.popitem()
            listed = self._listed(grouped, signals, permissions)
            if not more:
                yield Page(documents=listed, watermark=_mark(state))
                return
            state["last"] = next(reversed(grouped))
            yield Page(documents=listed, cursor=json.dumps(state))
            found = self._api.query(self._file_page(state["last"]))

    def _listed(
        self, grouped: Mapping[str, Sequence[Row]], signals: Signals, permissions: Permissions
    ) -> tuple[Document, ...]:
        """Complete versions with links, feed posts and signals. Links that we made ourselves are no documents."""
        kept = {each: versions for each, versions in grouped.items() if not self._own_link(versions)}
        links, posted = self._surroundings(kept)
        plain = [
            documents.file_document(self._source, versions, links.get(each, ()), self._org)
            for each, versions in kept.items()
        ]
        annotated = signals.annotate(plain)
        may_update_email = permissions.get(org.UPDATE_EMAIL)
        return tuple(self._with_late_skip(each, posted, signals, may_update_email) for each in annotated)

    @staticmethod
    def _with_late_skip(
        document: Document, posted: set[str], signals: Signals, may_update_email: bool | None
    ) -> Document:
        if document.skip is not None:
            return document
        if any(version.id in posted for version in document.versions):
            return replace(document, skip=skip.FEED)
        if may_update_email is False and any(parent.id in signals.sent for parent in document.parents):
            return replace(document, skip=skip.SENT_EMAIL)
        return document

    def _own_link(self, versions: Sequence[Row]) -> bool:
        key = self._org.external_id()
        return key is not None and any(documents.is_link(row) and rows.optional(row, key) for row in versions)

    def _surroundings(self, grouped: Mapping[str, Sequence[Row]]) -> tuple[dict[str, list[Row]], set[str]]:
        """Read the links of files, and which of their versions hang on feed posts, in as few calls as it takes."""
        if not grouped:
            return {}, set()
        statements = documents.links_by_document(list(grouped), _LINKS_PER_QUERY)
        by_links = len(statements)
        if self._posts_readable:
            versions = [rows.record_id(row, "Id") for each in grouped.values() for row in each]
            statements += [
                soql.select("RecordId", "FeedAttachment", f"RecordId IN {soql.id_list(part)}")
                for part in soql.chunks(versions, _POSTS_PER_QUERY)
            ]
        found = self._api.each_query([(statement, False) for statement in statements])
        links = documents.by_document(row for part in found[:by_links] for row in _required(part))
        posted: set[str] = set()
        for part in found[by_links:]:
            if isinstance(part, Permanent):
                self._posts_readable = False
            else:
                posted.update(rows.record_id(row, "RecordId") for row in _required(part))
        return links, posted

    def _changed_files(
        self,
        state: dict[str, str],
        mark: Mapping[str, str],
        signals: Signals,
        permissions: Permissions,
        found: Sequence[list[Row] | OffloaderError],
    ) -> Iterator[Page]:
        changed, deleted, state["links"], refused = self._delta(mark, found)
        blind = (LINKS_HIDDEN,) if refused and permissions.get(org.QUERY_ALL_FILES) else ()
        gone = (
            () if state["last"] else tuple(DocumentRef(self._source, documents.FILES, each) for each in sorted(deleted))
        )
        waiting = sorted(each for each in changed - deleted if each > state["last"])
        while waiting:
            part, waiting = waiting[:_CHANGED_PER_PAGE], waiting[_CHANGED_PER_PAGE:]
            fields = documents.version_fields(self._org)
            versions = self._api.query(
                soql.select(fields, "ContentVersion", f"ContentDocumentId IN {soql.id_list(part)}")
            )
            listed = self._listed(documents.by_document(versions), signals, permissions)
            state["last"] = part[-1]
            if waiting:
                yield Page(documents=listed, deleted=gone, cursor=json.dumps(state), blind_spots=blind)
                gone = ()
            else:
                yield Page(documents=listed, deleted=gone, watermark=_mark(state), blind_spots=blind)
                return
        yield Page(documents=(), deleted=gone, watermark=_mark(state), blind_spots=blind)

    def _changes(self, mark: Mapping[str, str]) -> list[Statement]:
        """Statements for versions, links and files that changed; hand their results to `_delta`.

        What our own run leaves behind, new link files and the links of deleted files, is left out to save calls.
        Links can be filtered by their file's fields only through inner queries (Object Reference, ContentDocumentLink);
        whether Salesforce takes these is remembered in the watermark ("plain" when it does not). Deletions are all
        asked for, whoever made them.
        """
        since = self._since(mark)
        unlinked = f"{since} AND FileType != 'LINK'"
        return [
            (soql.select("ContentDocumentId", "ContentVersion", unlinked), False),
            _plain_links(since) if mark.get("links") == "plain" else _foreign_links(since),
            (soql.select("Id, IsDeleted", "ContentDocument", unlinked), True),
        ]

    def _delta(
        self, mark: Mapping[str, str], found: Sequence[list[Row] | OffloaderError]
    ) -> tuple[set[str], set[str], str, bool]:
        """Ids of changed and of deleted files, how links were asked for, and whether that was refused altogether."""
        plain = mark.get("links") == "plain"
        versions, links, files = found
        if isinstance(links, OffloaderError) and not plain:
            (links,) = self._api.each_query([_plain_links(self._since(mark))])
            plain = not isinstance(links, OffloaderError)
        if isinstance(links, Transient):
            raise links
        refused = isinstance(links, OffloaderError)
        visible = [] if isinstance(links, OffloaderError) else links
        changed = {rows.record_id(row, "ContentDocumentId") for row in _required(versions)}
        changed |= {
            rows.record_id(row, "ContentDocumentId")
            for row in visible
            if rows.optional(row, "ContentDocument.FileType") != "LINK"
        }
        listed = {rows.record_id(row, "Id"): rows.flag(row, "IsDeleted") for row in _required(files)}
        deleted = {each for each, is_deleted in listed.items() if is_deleted}
        return changed | set(listed), deleted, "plain" if plain else "", refused

    def _since(self, mark: Mapping[str, str]) -> str:
        try:
            at = datetime.fromisoformat(mark["at"])
        except (KeyError, ValueError) as error:
            raise Permanent("the watermark of the earlier scan cannot be read; scan in full") from error
        return f"SystemModstamp >= {soql.literal(soql.earlier(at, self._options.overlap))}"

    # -- attachments --------------------------------------------------------------------------------------------

    def _attachment_page(self, last: str, mark: Mapping[str, str]) -> Statement:
        filters = [self._since(mark)] if mark else []
        if last:
            filters.append(f"Id > '{soql.id18(last)}'")
        tail = f"ORDER BY Id LIMIT {self._options.page_size}"
        return soql.select(documents.ATTACHMENT_FIELDS, "Attachment", " AND ".join(filters), tail), bool(mark)

    def _attachments(
        self, state: dict[str, str], mark: Mapping[str, str], signals: Signals, found: Sequence[Row]
    ) -> Iterator[Page]:
        """Keyset pages; an incremental scan includes deleted rows, which say so themselves."""
        while True:
            alive = [row for row in found if not rows.flag(row, "IsDeleted")]
            listed = tuple(
                signals.annotate(documents.attachment_document(self._source, row, self._org) for row in alive)
            )
            gone = tuple(
                DocumentRef(self._source, documents.ATTACHMENTS, rows.record_id(row, "Id"))
                for row in found
                if rows.flag(row, "IsDeleted")
            )
            if len(found) < self._options.page_size:
                yield Page(documents=listed, deleted=gone, watermark=_mark(state))
                return
            state["last"] = rows.record_id(found[-1], "Id")
            yield Page(documents=listed, deleted=gone, cursor=json.dumps(state))
            (answer,) = self._api.each_query([self._attachment_page(state["last"], mark)])
            found = _required(answer)


def _plain_links(since: str) -> Statement:
    return soql.select("ContentDocumentId, ContentDocument.FileType", "ContentDocumentLink", since), True


def _foreign_links(since: str) -> Statement:
    """As `_plain_links`, without links of files that are links themselves or deleted."""
    text, all_rows = _plain_links(since)
    ours = soql.select("ContentDocumentId", "ContentVersion", f"FileType = 'LINK' AND {since}")
    deleted = soql.select("Id", "ContentDocument", f"IsDeleted = true AND {since}")
    return f"{text} AND ContentDocumentId NOT IN ({ours}) AND ContentDocumentId NOT IN ({deleted})", all_rows


def _required(found: list[Row] | OffloaderError) -> list[Row]:
    if isinstance(found, OffloaderError):
        raise found
    return found


def _mark(state: Mapping[str, str]) -> str:
    return json.dumps({name: state[name] for name in ("at", "links") if state.get(name)})


def _parsed(text: str | None, what: str) -> dict[str, str]:
    if text is None:
        return {}
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise Permanent(f"the {what} cannot be read; scan in full") from error
    if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
        raise Permanent(f"the {what} cannot be read; scan in full")
    return parsed
