"""The access pack of a data subject (GDPR Articles 15 and 20): the original bytes, what is known of them, checksums.

A BagIt bag (RFC 8493): `data/` holds the files, `manifest-sha256.txt` is checked by `sha256sum -c`. What may show other
people is no part of the bag: it lies apart, in `review/`, with a page of its own, until somebody has looked at it and
decided (Article 15(4)). Nothing in `data/` names other people's records.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from offloader import __version__
from offloader.disposition.acts import Report, draft
from offloader.disposition.erasure import named, shape
from offloader.disposition.subjects import Hit, Search, Subject
from offloader.disposition.tombstones import subject_of as act_subject
from offloader.errors import ConfigError, Gone, IntegrityError, OffloaderError, Refused
from offloader.ledger import PlanRow, VersionEntry
from offloader.ledger.disposing import Act
from offloader.ledger.erasing import RequestRow
from offloader.model import Decision, Digest, Digester
from offloader.moves.approving import RULE, check_approvals, standing_of
from offloader.moves.sealing import PAGE, plan_of
from offloader.moves.site import Site

KIND = "export"
#: code of a decision's reason that says: handing the data out needs an approval
GATE = "EXPORT_GATE"
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


@dataclass(slots=True)
class Pack:
    """What was written. `review` counts documents that may show others and that nobody has decided about yet;
    `withheld` those that are about others, as somebody decided; `errors` has one line a version."""

    directory: Path
    documents: int = 0
    files: int = 0
    bytes: int = 0
    review: int = 0
    withheld: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Found:
    hit: Hit
    decision: Decision
    #: somebody looked at it and decided that it is handed over
    included: bool = False

    @property
    def gates(self) -> list[str]:
        """Ids of the rules that want an approval before the document is handed out."""
        return sorted({reason.rule or reason.code for reason in self.decision.reasons if reason.code == GATE})

    @property
    def apart(self) -> bool:
        return not self.included and (bool(self.hit.others) or not self.hit.sure)


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decided about documents that may show others, as SOURCE/KIND/ID or links."""

    include: Collection[str] = ()
    exclude: Collection[str] = ()


def export(
    site: Site,
    request: RequestRow,
    found: Search,
    directory: Path,
    *,
    approved_by: str = "",
    choice: Choice = Choice(),
    organisation: str = "",
) -> Pack:
    """Write the access pack into a new or empty folder.

    The request is closed if everything could be read and nothing is left to decide. Where rules want an approval for
    handing data out, `approved_by` is the plan that people approved; without one, such a plan is made, and Refused
    raised that names it and the rules. Raises ConfigError if the folder is not empty, or the choice names a document
    that was not found.
    """
    subject = Subject.from_json(request.subject)
    targets, now = site.targets(), site.context.now()
    policy = site.policies[subject.source]
    included, excluded = (
        named(site, found, choice.include, "--include"),
        named(site, found, choice.exclude, "--exclude"),
    )
    decided = [
        _Found(hit, policy.decide(hit.entry.document, targets, now), hit.entry.pk in included)
        for hit in found.hits
        if hit.entry.pk not in excluded
    ]
    _check_gates(site, request, subject, decided, approved_by)
    pack = Pack(directory, withheld=len(excluded))
    _new_folder(directory)
    places = {target.store: sorted(target.proof.countries) for target in targets}
    described = [_document(site, pack, number, each, places) for number, each in enumerate(decided, 1)]
    about = {
        "made": now.isoformat(),
        "by": f"offloader {__version__}",
        "controller": organisation,
        "request": {"id": request.id, "received": request.received.isoformat(), "due": request.due.isoformat()},
        "source": subject.source,
        "records": list(subject.records),
        "processing": dict(policy.terms.processing),
        "recipients": places,
        "withheld": {"documents": pack.withheld, "why": "they are about other people (GDPR Article 15(4))"},
    }
    _describe(directory / "data", about, [each for each in described if not each["review"]])
    if pack.review:
        _describe(directory / "review", about, [each for each in described if each["review"]])
    _bag(site, directory, pack)
    if not pack.errors and not pack.review:
        detail = {**request.detail, "answered": now.date().isoformat()}
        site.ledger.save_request(replace(request, state="done", subject={}, detail=detail, plan=approved_by or None))
    if approved_by:
        site.ledger.set_plan_status(approved_by, "done")
    site.ledger.record_event(
        "exported", data={"request": request.id, "documents": pack.documents, "files": pack.files, "plan": approved_by}
    )
    return pack


def _describe(folder: Path, about: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> None:
    """Write what stands in a folder, for programs and to be read."""
    from offloader.disposition.access_page import page  # noqa: PLC0415

    whole = {**about, "documents": documents, "review": any(each["review"] for each in documents)}
    folder.mkdir(mode=0o700, exist_ok=True)
    _text(folder / "documents.json", json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=True) + "\n")
    _text(folder / "index.html", page(whole))


def apply_export(site: Site, plan_id: str, lines: Iterable[bytes] | None = None) -> Report:
    """Refuse: such a plan only permits an export. Always raises Refused."""
    raise Refused(
        f"plan {plan_id} permits an export, and is carried out with: "
        f"offloader export … --out DIR --approved-by {plan_id}",
        rule="plan-kind",
    )


def _check_gates(site: Site, request: RequestRow, subject: Subject, decided: Sequence[_Found], plan: str) -> None:
    rules = sorted({rule for each in decided for rule in each.gates})
    if not rules:
        if plan:
            raise ConfigError("no rule wants an approval for this export: leave --approved-by out")
        return
    named = ", ".join(rules)
    if not plan:
        made = draft(site, KIND, {subject.source}, scope={"request": request.id})
        made.add([_act(site, each) for each in decided])
        row = made.seal(f"{len(decided)} documents to be handed out, which {named} bind to an approval", {})
        raise Refused(
            f"{named} want an approval before these documents are handed out. Somebody approves plan {row.id} with: "
            f"offloader approve {row.id} --reason TEXT; then export again with --approved-by {row.id}",
            rule=rules[0],
        )
    row = plan_of(site, plan)
    _check_approved(site, row, request, decided)


def _check_approved(site: Site, row: PlanRow, request: RequestRow, decided: Sequence[_Found]) -> None:
    if row.header.disposes != KIND or row.header.scope.get("request") != request.id:
        raise Refused(f"plan {row.id} does not permit this export", rule="plan-kind")
    if row.status != "sealed":
        raise Refused(f"plan {row.id} is {row.status}; it permits one export", rule="plan-status")
    check_approvals(site, row)
    if not standing_of(site, row).given:
        raise Refused(f"nobody has approved plan {row.id}: offloader approve {row.id} --reason TEXT", rule=RULE)
    planned: dict[str, Any] = {}
    after = 0
    while page := site.ledger.acts(row.id, after=after, limit=PAGE):
        after = page[-1].seq
        planned |= {act.subject: act.body["shape"] for act in page}
    if planned != {act_subject(each.hit.entry.pk): shape(site, each.hit.entry) for each in decided}:
        raise Refused(f"other documents are found now than in plan {row.id}: export again without it", rule="drift")


def _act(site: Site, each: _Found) -> Act:
    entry = each.hit.entry
    return Act(
        subject=act_subject(entry.pk),
        act=KIND,
        part=entry.document.ref.kind,
        size=entry.document.size,
        body={"document": entry.pk, "rules": each.gates, "shape": shape(site, entry)},
    )


def _new_folder(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigError(f"{directory} is not empty; a pack gets a folder of its own")
        (directory / "data").mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(f"the pack cannot be written to {directory}: {error.strerror}") from error


def _document(
    site: Site, pack: Pack, number: int, found: _Found, places: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    hit, document = found.hit, found.hit.entry.document
    folder = "review" if found.apart else "data"
    files = []
    for version in hit.entry.versions:
        if version.gone:
            continue
        safe = _safe(version.version.name or document.title)
        name = f"{folder}/documents/{number:05d}-{version.version.number}-{safe}"
        try:
            digest = _copy(site, hit, version, pack.directory / name)
        except OffloaderError as error:
            pack.errors.append(f"{document.ref} version {version.version.number}: {error}")
            continue
        pack.files += 1
        pack.bytes += digest.size
        files.append({"file": name, "name": version.version.name, "size": digest.size, "sha256": digest.sha256})
    pack.documents += 1
    pack.review += found.apart
    retention = found.decision.retention
    return {
        "document": str(document.ref),
        "title": document.title,
        "created": document.created.isoformat() if document.created else None,
        "modified": document.modified.isoformat() if document.modified else None,
        "found_by": hit.why,
        "other_records": list(hit.others) if found.apart else [],
        "review": found.apart,
        "stored": {copy.store: list(places.get(copy.store, ())) for each in hit.entry.versions for copy in each.copies},
        "keep_until": retention.keep_until.isoformat() if retention and retention.keep_until else None,
        "erase_by": retention.erase_by.isoformat() if retention and retention.erase_by else None,
        "files": files,
    }


def _safe(name: str) -> str:
    """A file name of plain letters: the true one stands in documents.json."""
    stem, dot, suffix = _SAFE.sub("_", name).rpartition(".")
    return f"{stem[:_LONGEST]}{dot}{suffix[:10]}".strip("._-") or "file"


def _copy(site: Site, hit: Hit, version: VersionEntry, path: Path) -> Digest:
    """Write a version's bytes, from the first copy that is whole, else from the CRM; gives what was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    last: OffloaderError = Gone("there is no copy of it, and the CRM has it no more")
    for copy in version.copies:
        try:
            digest = _write(path, site.stores[copy.store].read(copy.key))
            if digest == copy.digest:
                return digest
            last = IntegrityError(f"the copy in the store {copy.store} is not what was verified")
        except OffloaderError as error:
            last = error
        path.unlink(missing_ok=True)
    if version.copies:
        raise last
    document = hit.entry.document
    for delivery in site.sources[document.ref.source].read([document.version_ref(version.version)]):
        if delivery.chunks is None:
            raise delivery.error or last
        return _write(path, delivery.chunks)
    raise last


def _write(path: Path, chunks: Iterable[bytes]) -> Digest:
    digester = Digester()
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                digester.update(chunk)
                file.write(chunk)
    except OSError as error:
        raise ConfigError(f"the pack cannot be written to {path}: {error.strerror}") from error
    except OffloaderError:
        path.unlink(missing_ok=True)
        raise
    return digester.digest()


def _text(path: Path, text: str) -> None:
    _write(path, [text.encode("utf-8", "backslashreplace")])


def _bag(site: Site, directory: Path, pack: Pack) -> None:
    """Write the manifests, and the file that makes a folder a bag last: without it, the pack is not whole."""
    payload = list(_sums(directory, sorted(each for each in (directory / "data").rglob("*") if each.is_file())))
    size = sum(path.stat().st_size for path in (directory / "data").rglob("*") if path.is_file())
    info = f"Bagging-Date: {site.context.now():%Y-%m-%d}\nPayload-Oxum: {size}.{len(payload)}\n"
    _text(directory / "manifest-sha256.txt", "".join(payload))
    _text(directory / "bag-info.txt", info)
    if pack.errors:
        _text(directory / "INCOMPLETE.txt", "".join(f"{error}\n" for error in pack.errors))
        return
    names = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")
    _text(directory / "bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    _text(directory / "tagmanifest-sha256.txt", "".join(_sums(directory, [directory / name for name in names])))


def _sums(directory: Path, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield f"{digest}  {path.relative_to(directory).as_posix()}\n"
