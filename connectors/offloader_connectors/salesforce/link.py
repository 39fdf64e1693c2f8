"""Replacing files and records' attachments by native link files: the same title, owner, parents and sharing.

A link file is a ContentVersion with ContentUrl and neither VersionData nor PathOnClient (Object Reference,
ContentVersion). Its insert makes the ContentDocument, and the links to the parents follow. In the ordinary case one
chained composite makes 200 links, and a second call reads them back; whatever differs from what is wanted is mended
and read again.

An inactive user can own files only where the org has "Update Records with Inactive Owners" (Object Reference,
ContentDocument). Elsewhere the running user owns the link. That lets nobody in: who is inactive cannot log in, so the
access that goes with the ownership was nobody's, and the parents and their sharing stay the same.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from offloader.errors import OffloaderError
from offloader.model import Parent
from offloader.ports import LinkRequest, Outcome, Status
from offloader_connectors.salesforce import documents, rows, soql, trouble
from offloader_connectors.salesforce.api import HEAVY_PER_COMPOSITE, RECORDS_PER_COLLECTION, Answer, Api, Sub
from offloader_connectors.salesforce.org import Org
from offloader_connectors.salesforce.rows import Row
from offloader_connectors.salesforce.standing import Finder, Standing, link_title, wanted_parents
from offloader_connectors.salesforce.trouble import ItemError

#: ContentVersion.ContentUrl from API 33 (Object Reference)
URL_LENGTH = 1300
_AUDIT_FIELDS = frozenset({"CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "ContentModifiedDate"})
_LINKS_PER_CHAIN = (HEAVY_PER_COMPOSITE - 2) * RECORDS_PER_COLLECTION
_DUPLICATE_OF = re.compile(r"record with id: (068\w{12,15})")
_PRIVATE_LIBRARY = "private library"
_VISIBILITY_REFUSED = re.compile(r"Visibility \w+ is not permitted")
_ROUNDS = 3
_INACTIVE_OWNER = "INACTIVE_OWNER_OR_USER"
RUNNING_USER = "running user"
_HOPELESS = (Status.REFUSED, Status.CONFLICT, Status.GONE)


@dataclass(slots=True)
class Job:
    """One link on its way."""

    request: LinkRequest
    wanted: tuple[Parent, ...]
    document: str | None = None
    version: str | None = None
    #: a link, or a file that is restored
    is_link: bool = True
    #: made by this call, so it may be taken back
    fresh: bool = False
    #: whether the sharing was sent already
    shared: bool = False
    #: where the file is first published; None: with its owner
    place: str | None = None
    dates: bool = True
    #: the owner is set after the insert
    owner_later: bool = False
    #: the running user owns the file, in the place of an inactive owner
    unowned: bool = False
    all_users: bool = False
    errors: dict[str, tuple[ItemError, ...]] = field(default_factory=dict)
    outcome: Outcome | None = None

    @property
    def ref(self) -> dict[str, str]:
        found = {
            "document": self.document,
            "version": self.version,
            "visibility": "AllUsers" if self.all_users else None,
            "owner": RUNNING_USER if self.unowned else None,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def inactive_owner(self) -> bool:
        """Whether the owner was inactive when the document was read."""
        return self.request.document.extra.get("owner_active") is False

    def settle(self, status: Status, reason: str = "") -> None:
        self.outcome = Outcome(status=status, reason=reason, link_ref=self.ref)


class Linker:
    """Makes link files. Thread-safe; what the org refuses is remembered and not tried again."""

    def __init__(self, api: Api, org: Org, finder: Finder, *, chained: bool) -> None:
        self._api = api
        self._org = org
        self._finder = finder
        self._chained = chained
        self._dates = True
        #: whether the org takes files of inactive owners, None until it was tried
        self._inactive_taken: bool | None = None
        self._first_try = threading.Lock()
        #: how the org shares a file with the record where it is first published
        self._placed: Mapping[str, str] = {}

    def link(self, requests: Sequence[LinkRequest]) -> list[Outcome]:
        """Make and read back links, in order."""
        jobs = [self._job(request) for request in requests]
        for part in soql.chunks([job for job in jobs if job.outcome is None], RECORDS_PER_COLLECTION):
            if self._inactive_taken is None and any(job.inactive_owner for job in part):
                with self._first_try:
                    self._carry_out(part)
            else:
                self._carry_out(part)
        return [job.outcome or Outcome(status=Status.RETRY, reason="not finished") for job in jobs]

    def _job(self, request: LinkRequest) -> Job:
        job = Job(request, wanted_parents(request), unowned=request.link_ref.get("owner") == RUNNING_USER)
        if len(request.link.url) > URL_LENGTH:
            job.settle(Status.REFUSED, f"the link is longer than {URL_LENGTH} characters")
        if self._dates and len(job.wanted) == 1 and job.wanted[0].sharing == self._placed_sharing():
            job.place = job.wanted[0].id
        return job

    def _placed_sharing(self) -> Mapping[str, str]:
        """How a file will be shared with the record where it is first published.

        Known once a link was read back; until then guessed: only orgs with Experience Cloud have the field NetworkId,
        and there records show files to internal users by default (Object Reference, ContentVersion and
        ContentDocumentLink).
        """
        if not self._placed:
            sites = "NetworkId" in self._org.fields("ContentVersion")
            return {"ShareType": "V", "Visibility": "InternalUsers" if sites else "AllUsers"}
        return self._placed

    def _carry_out(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.unowned = job.unowned or (job.inactive_owner and self._inactive_taken is False)
        self._find([job for job in jobs if job.request.attempted or job.request.link_ref or job.request.anew])
        for job in jobs:
            if job.version is None and job.request.anew:
                # no purge takes link files along: somebody else has deleted it
                job.settle(Status.GONE, "the link file was deleted in the CRM")
        missing = [job for job in jobs if job.version is None and job.outcome is None]
        for part in _chains(missing):
            if self._chained and sum(len(job.wanted) for job in part) <= _LINKS_PER_CHAIN:
                self._create_chained(part)
            else:
                self._create(part)
        for _ in range(_ROUNDS):
            again = [job for job in missing if job.version is None and job.outcome is None]
            self._create(again)
        for job in missing:
            if job.version is None and job.outcome is None:
                job.settle(Status.RETRY, "Salesforce refused the link's fields again and again")
        alive = [job for job in jobs if job.version and job.outcome is None]
        self._learn_documents([job for job in alive if job.document is None])
        self.mend([job for job in alive if job.outcome is None])
        self._take_back([job for job in jobs if job.outcome and job.outcome.status is not Status.DONE])

    def _find(self, jobs: Sequence[Job]) -> None:
        """Look for links that an earlier call made."""
        located = self._finder.locate([job.request for job in jobs]) if jobs else {}
        standing = self._finder.read(located.values())
        for job in jobs:
            found = standing.get(located.get(job.request.link.id, ""))
            if found is not None:
                job.document, job.version, job.shared = found.document, found.version, True

    # -- making -------------------------------------------------------------------------------------------------

    def _record(self, job: Job) -> dict[str, Any]:
        document = job.request.document
        record: dict[str, Any] = {
            "attributes": {"type": "ContentVersion"},
            "Title": link_title(job.request),
            "ContentUrl": job.request.link.url,
        }
        key = self._org.external_id()
        optional = {
            key: job.request.link.id,
            "Description": document.extra.get("description"),
            "OwnerId": self._api.user_id if job.unowned else None if job.owner_later else document.owner,
            "FirstPublishLocationId": job.place,
            "SharingPrivacy": "P" if self._private(job) else None,
        }
        record |= {name: value for name, value in optional.items() if name and value}
        if self._dates and job.dates:
            created, modified = document.created, document.modified or document.created
            dates = {
                "CreatedDate": soql.timestamp(created) if created else None,
                "CreatedById": document.extra.get("created_by"),
                "LastModifiedDate": soql.timestamp(modified) if modified else None,
            }
            record |= {name: value for name, value in dates.items() if value}
        return record

    @staticmethod
    def _private(job: Job) -> bool:
        extra = job.request.document.extra
        return extra.get("sharing_privacy") == "P" or extra.get("is_private") is True

    def _creation(self, jobs: Sequence[Job]) -> Sub:
        key = self._org.external_id()
        body = {"allOrNone": False, "records": [self._record(job) for job in jobs]}
        if key:
            return Sub("PATCH", f"composite/sobjects/ContentVersion/{key}", body, "cv")
        return Sub("POST", "composite/sobjects", body, "cv")

    def _create(self, jobs: Sequence[Job]) -> None:
        """Make ContentVersions alone; the rest is mended afterwards."""
        if not jobs:
            return
        sub = self._creation(jobs)
        operation = "collections.upsert" if sub.method == "PATCH" else "collections.create"
        answer = self._api.send(operation, sub.method, sub.path, sub.body)
        self._take_versions(jobs, answer.results(len(jobs)))

    def _create_chained(self, jobs: Sequence[Job]) -> None:
        """Make versions, learn their documents and share them in one call, each step fed by the one before."""
        retrieve = Sub(
            "POST",
            "composite/sobjects/ContentVersion",
            {"ids": [f"@{{cv[{index}].id}}" for index in range(len(jobs))], "fields": ["Id", "ContentDocumentId"]},
            "docs",
        )
        shares = [
            (job, parent, f"@{{docs[{index}].ContentDocumentId}}")
            for index, job in enumerate(jobs)
            for parent in job.wanted
            if parent.id != job.place
        ]
        parts = list(soql.chunks(shares, RECORDS_PER_COLLECTION))
        links = [
            Sub(
                "POST",
                "composite/sobjects",
                _collection([_share(document, parent) for _, parent, document in part]),
                f"l{n}",
            )
            for n, part in enumerate(parts)
        ]
        made, learned, *linked = self._api.composite([self._creation(jobs), retrieve, *links], write=True)
        self._take_versions(jobs, made.require(write=True).results(len(jobs)))
        if not learned.ok:
            # one failed item breaks the chain too; only a chain without failures shows that the org refuses it
            if all(job.version for job in jobs):
                self._chained = False
            return
        for job, row in zip(jobs, learned.results(len(jobs)), strict=True):
            job.document = rows.record_id(row, "ContentDocumentId", "composite")
        for part, answer in zip(parts, linked, strict=True):
            if answer.ok:
                for (job, parent, _), result in zip(part, answer.results(len(part)), strict=True):
                    _note_share(job, parent, result)
        for job in jobs:
            job.shared = all(answer.ok for answer in linked)

    def _take_versions(self, jobs: Sequence[Job], results: Sequence[Row]) -> None:
        for job, result in zip(jobs, results, strict=True):
            if result.get("success") is True:
                job.version = rows.record_id(result, "id", "collections.upsert")
                job.fresh = result.get("created") is not False
                if job.inactive_owner and not job.unowned and not job.owner_later:
                    self._inactive_taken = True
            else:
                self._adapt(job, trouble.item_errors(result))

    def _adapt(self, job: Job, errors: tuple[ItemError, ...]) -> None:
        """Change what the org refused about one link so that the next try can succeed, or settle the job."""
        first = errors[0]
        duplicate = _DUPLICATE_OF.search(first.message)
        named = {
            name
            for error in errors
            for name in (*error.fields, *_AUDIT_FIELDS)
            if name in error.fields or name in error.message
        }
        if first.code == "DUPLICATE_VALUE" and duplicate:
            job.version = soql.id18(duplicate[1])
        elif job.dates and named & _AUDIT_FIELDS:
            job.dates = False
            self._dates = self._dates and first.code != "INVALID_FIELD_FOR_INSERT_UPDATE"
        elif first.code == _INACTIVE_OWNER and not job.unowned:
            self._disown(job)
        elif _PRIVATE_LIBRARY in first.message and job.place is None and job.wanted:
            job.place = job.wanted[0].id
        elif _PRIVATE_LIBRARY in first.message and not job.owner_later:
            job.owner_later, job.place = True, None
        else:
            job.outcome = trouble.outcome_of(errors, job.ref)

    def _disown(self, job: Job) -> None:
        """Leave the file to the running user."""
        job.unowned = True
        self._inactive_taken = False

    def _learn_documents(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        body = {"ids": [job.version for job in jobs], "fields": ["Id", "ContentDocumentId"]}
        answer = self._api.send("collections.retrieve", "POST", "composite/sobjects/ContentVersion", body, write=False)
        found = answer.body if isinstance(answer.body, list) and len(answer.body) == len(jobs) else [None] * len(jobs)
        for job, row in zip(jobs, found, strict=True):
            if isinstance(row, Mapping):
                job.document = rows.record_id(row, "ContentDocumentId", "collections.retrieve")
            else:
                job.settle(Status.RETRY, "the link just made cannot be read")

    # -- reading back, mending ----------------------------------------------------------------------------------

    def mend(self, jobs: Sequence[Job]) -> None:
        """Share files, read everything back, and correct what differs, until it is right or hopeless."""
        unshared = [job for job in jobs if not job.shared]
        self._send([act for job in unshared for act in self._sharing(job, frozenset({job.place}))])
        waiting = list(jobs)
        for round_ in range(_ROUNDS + 1):
            fresh = [job.request.document.ref.id for job in waiting if job.fresh]
            standing, present = self._finder.read_beside((job.document for job in waiting if job.document), fresh)
            acts = []
            for job in waiting:
                if job.fresh and job.request.document.ref.id not in present:
                    job.settle(Status.GONE, "the document is not there any more")
                else:
                    acts += self._compare(job, standing.get(job.document or ""))
            waiting = [job for job in waiting if job.outcome is None]
            if not waiting:
                return
            if round_ < _ROUNDS:
                self._send(acts)
        for job in waiting:
            errors = next(iter(job.errors.values()), ())
            job.outcome = trouble.outcome_of(errors, job.ref) if errors else None
            if job.outcome is None:
                job.settle(Status.RETRY, "the link does not stand as wanted yet")

    def _compare(self, job: Job, found: Standing | None) -> list[Act]:
        """Say what still has to be done; settles the job if that is nothing, or hopeless."""
        if found is None or (job.is_link and found.url is None):
            job.settle(Status.RETRY, "what was just made cannot be read back")
            return []
        if job.place and job.fresh:
            self._placed = next((dict(each.sharing) for each in found.parents if each.id == job.place), self._placed)
        job.version = found.version
        job.unowned = job.unowned or (job.inactive_owner and found.owner == self._api.user_id)
        refused = self._hopeless(job, found)
        if refused is not None:
            job.outcome = refused
            return []
        acts = self._sharing(job, frozenset(found.link_ids))
        if not job.request.anew:
            acts += [*_corrections(job, found), *self._file_corrections(job, found)]
        if not acts:
            job.settle(Status.DONE)
        return acts

    def _hopeless(self, job: Job, found: Standing) -> Outcome | None:
        """The outcome if a parent that is still missing can never be linked."""
        if not job.all_users and any(_VISIBILITY_REFUSED.search(errors[0].message) for errors in job.errors.values()):
            self._show_all(job)
            return None
        for parent in job.wanted:
            errors = job.errors.get(parent.id)
            if not errors or parent.id in found.link_ids:
                continue
            if errors[0].code in trouble.GONE:
                return Outcome(
                    status=Status.CONFLICT, reason=f"parent {parent.id} is gone: {errors[0]}", link_ref=job.ref
                )
            outcome = trouble.outcome_of(errors, job.ref)
            if outcome.status is Status.REFUSED:
                return replace(outcome, reason=f"parent {parent.type} {parent.id}: {outcome.reason}")
        return None

    @staticmethod
    def _show_all(job: Job) -> None:
        """Ask for AllUsers where InternalUsers is refused.

        Salesforce refuses it only in orgs without Experience Cloud sites, which have no external users, so both let
        in the same people (Object Reference, ContentDocumentLink, Visibility).
        """
        job.all_users = True
        job.errors.clear()
        job.wanted = tuple(replace(each, sharing={**each.sharing, "Visibility": "AllUsers"}) for each in job.wanted)

    def _sharing(self, job: Job, present: frozenset[str | None]) -> list[Act]:
        return [
            Act("POST", _share(job.document or "", parent), partial(_note_share, job, parent))
            for parent in job.wanted
            if parent.id not in present
        ]

    def _file_corrections(self, job: Job, found: Standing) -> list[Act]:
        """Owner, title, address: what an insert could not set, or an earlier one set differently."""
        acts = []
        document = job.request.document
        if document.owner and found.owner != document.owner and not job.unowned:
            body = _update(job, "ContentDocument", found.document, {"OwnerId": document.owner})
            acts.append(replace(body, done=partial(self._note_owner, job)))
        if document.extra.get("sharing_option") == "R" and found.sharing_option != "R":
            acts.append(_update(job, "ContentDocument", found.document, {"SharingOption": "R"}))
        right = found.url == job.request.link.url and found.title.strip() == link_title(job.request).strip()
        if job.is_link and not right:
            fields = {"Title": link_title(job.request), "ContentUrl": job.request.link.url}
            acts.append(_update(job, "ContentVersion", found.version, fields))
        return acts

    def _note_owner(self, job: Job, result: Row) -> None:
        _note(job, "owner", result)
        if any(error.code == _INACTIVE_OWNER for error in job.errors.get("owner", ())):
            del job.errors["owner"]
            self._disown(job)

    def _send(self, acts: Sequence[Act]) -> None:
        """Carry out acts in as few calls as it takes; failures are noted with their jobs."""
        for method in ("POST", "PATCH", "DELETE"):
            parts = list(soql.chunks([act for act in acts if act.method == method], RECORDS_PER_COLLECTION))
            for group in soql.chunks(parts, HEAVY_PER_COMPOSITE):
                answers = self._api.composite([_act_sub(method, part) for part in group], write=True)
                for part, answer in zip(group, answers, strict=True):
                    _hand_out(part, answer)

    def _take_back(self, jobs: Sequence[Job]) -> None:
        """Leave nothing half-made behind: a link that will not be completed is deleted."""
        hopeless = [
            job for job in jobs if job.document and job.fresh and job.outcome and job.outcome.status in _HOPELESS
        ]
        if hopeless:
            self._send([Act("DELETE", {"id": job.document}, lambda _: None) for job in hopeless])
        for job in hopeless:
            assert job.outcome is not None
            job.outcome = replace(job.outcome, link_ref={})


@dataclass(frozen=True, slots=True)
class Act:
    """One record of a collection, and who wants to know what became of it."""

    method: str
    record: dict[str, Any]
    done: Callable[[Row], None]


def _chains(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield runs of jobs whose links fit into one chained composite."""
    part: list[Job] = []
    links = 0
    for job in jobs:
        if part and links + len(job.wanted) > _LINKS_PER_CHAIN:
            yield part
            part, links = [], 0
        part.append(job)
        links += len(job.wanted)
    if part:
        yield part


def _collection(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"allOrNone": False, "records": list(records)}


def _share(document: str, parent: Parent) -> dict[str, Any]:
    return {
        "attributes": {"type": "ContentDocumentLink"},
        "ContentDocumentId": document,
        "LinkedEntityId": parent.id,
        **parent.sharing,
    }


def _note_share(job: Job, parent: Parent, result: Row) -> None:
    errors = () if result.get("success") is True else trouble.item_errors(result)
    if errors and errors[0].code != "DUPLICATE_VALUE":
        job.errors[parent.id] = errors
    else:
        job.errors.pop(parent.id, None)


def _corrections(job: Job, found: Standing) -> list[Act]:
    """Links whose sharing differs are changed, links to anything else are taken away: they would widen access."""
    wanted = {parent.id: parent for parent in job.wanted}
    acts = []
    for parent in found.parents:
        link = found.link_ids[parent.id]
        if parent.id not in wanted:
            acts.append(Act("DELETE", {"id": link}, partial(_note, job, parent.id)))
        elif wanted[parent.id].sharing and not documents.same_sharing([wanted[parent.id]], [parent]):
            acts.append(_update(job, "ContentDocumentLink", link, dict(wanted[parent.id].sharing)))
    return acts


def _update(job: Job, type_name: str, record: str, fields: dict[str, Any]) -> Act:
    body = {"attributes": {"type": type_name}, "id": record, **fields}
    return Act("PATCH", body, partial(_note, job, record))


def _note(job: Job, record: str, result: Row) -> None:
    if result.get("success") is True:
        job.errors.pop(record, None)
    else:
        job.errors[record] = trouble.item_errors(result)


def _act_sub(method: str, part: Sequence[Act]) -> Sub:
    if method == "DELETE":
        return Sub(method, f"composite/sobjects?ids={','.join(act.record['id'] for act in part)}&allOrNone=false")
    return Sub(method, "composite/sobjects", _collection([act.record for act in part]))


def _hand_out(part: Sequence[Act], answer: Answer) -> None:
    try:
        results = answer.require(write=True).results(len(part))
    except OffloaderError as error:
        failed = {"success": False, "errors": [{"statusCode": "PROCESSING_HALTED", "message": str(error)}]}
        results = [failed] * len(part)
    for act, result in zip(part, results, strict=True):
        act.done(result)
