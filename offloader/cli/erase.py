"""offloader erase"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.exits import TABLE, Exit
from offloader.cli.output import SHOWN, Answer, write_plan
from offloader.cli.session import Json, PlanFile, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from datetime import date

    from offloader.disposition.archived import Trace
    from offloader.disposition.erasure import ErasurePlan, Planned
    from offloader.disposition.subjects import Search
    from offloader.ledger.erasing import RequestRow

app = typer.Typer(name="erase", no_args_is_help=True, help="Erase a data subject's documents, and prove it.")

Records = Annotated[
    list[str] | None,
    typer.Argument(help="Records of the person, as TYPE:ID.", show_default=False, metavar="[RECORD]..."),
]
Source = Annotated[str, typer.Option("--source", help="Whose records these are, if there are several sources.")]
Email = Annotated[list[str] | None, typer.Option("--email", help="Also look for this address; may be repeated.")]
Received = Annotated[str, typer.Option("--received", help="The day of the request, as 2026-11-22; today.")]
Name = Annotated[list[str] | None, typer.Option("--name", help="Also look for this name; may be repeated.")]
DeleteInCrm = Annotated[
    bool, typer.Option("--delete-in-crm", help="Delete originals and placeholders in the CRM too, not only our links.")
]


@app.callback()
def group() -> None:
    """Erase a data subject's documents, and prove it."""


@app.command(epilog=TABLE)
def find(
    context: typer.Context,
    record: Records = None,
    source: Source = "",
    email: Email = None,
    name: Name = None,
    as_json: Json = False,
) -> Answer:
    """Find every document of a person, and say why each was found. Changes nothing."""
    from offloader.disposition.archived import search_archives  # noqa: PLC0415
    from offloader.disposition.subjects import search, subject_of  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        subject = subject_of(site, record or (), source=source, emails=email or (), names=name or ())
        found = search(site, subject)
        archived = search_archives(site, subject)
        mark = subject.mark(site)
    lines = [f"{len(found.hits)} documents were found. A certificate names this person by the keyed hash {mark}."]
    lines += [
        f"  {hit.entry.document.ref}: {', '.join(hit.why)}"
        + (f"; also of {', '.join(hit.others)}" if hit.others else "")
        for hit in found.hits
    ]
    data = {"keyed_hash": mark, **_hits(found), "archived": _traces(archived)}
    return Answer(data=data, lines=[*lines, *_archive_lines(archived), *_strays(found.strays)])


@app.command(epilog=TABLE)
def plan(
    context: typer.Context,
    record: Records = None,
    source: Source = "",
    email: Email = None,
    name: Name = None,
    received: Received = "",
    include: Annotated[
        list[str] | None,
        typer.Option("--include", help="You decided: this one goes too, although it is not hers or his alone."),
    ] = None,
    redact_parent: Annotated[
        list[str] | None,
        typer.Option(
            "--redact-parent", help="You decided: this one stays for the others, and the person is taken off it."
        ),
    ] = None,
    delete_in_crm: DeleteInCrm = False,
    ground: Annotated[
        str, typer.Option("--ground", help="The letter of GDPR Article 17(1) that the request rests on: a to f.")
    ] = "",
    out: PlanFile = None,
    as_json: Json = False,
) -> Answer:
    """Plan the erasure, and open the request with its legal clock. Nothing is erased."""
    from offloader.disposition.acts import export_acts  # noqa: PLC0415
    from offloader.disposition.erasure import GROUNDS, plan_erasure  # noqa: PLC0415
    from offloader.disposition.subjects import receive, search, subject_of  # noqa: PLC0415
    from offloader.holds import day  # noqa: PLC0415

    on: date | None = day(received, "--received") if received else None
    if ground and ground not in GROUNDS:
        raise ConfigError(f"--ground is one of {', '.join(GROUNDS)}: the letters of GDPR Article 17(1)")
    with session_of(context).site(dry_run=True) as site:
        subject = subject_of(site, record or (), source=source, emails=email or (), names=name or ())
        found = search(site, subject)
        request = receive(site, "erasure", subject, on, ground)
        made = plan_erasure(
            site, request, found, include=include or (), redact=redact_parent or (), delete_in_crm=delete_in_crm
        )
        if out is not None:
            write_plan(out, export_acts(site, made.row.id) if made.row is not None else ())
    return _planned(made, request)


@app.command(epilog=TABLE)
def status(context: typer.Context, as_json: Json = False) -> Answer:
    """List all requests of data subjects, and how many days are left for an answer."""
    from offloader.disposition.subjects import OPEN, days_left  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        rows, today = site.ledger.requests(), site.context.now().date()
    lines, values = [], []
    for row in rows:
        left = days_left(row, today)
        clock = "" if row.state not in OPEN else f", {left} days left" if left >= 0 else f", LATE by {-left} days"
        plan_ = f", plan {row.plan}" if row.plan else ""
        lines.append(f"{row.id}  {row.kind}: {row.state}, received {row.received}, due {row.due}{clock}{plan_}")
        values.append(_request(row) | {"days_left": left if row.state in OPEN else None})
    late = any(value["days_left"] is not None and value["days_left"] < 0 for value in values)
    return Answer(Exit.REVIEW if late else Exit.DONE, {"requests": values}, lines or ["There are no requests."])


@app.command(epilog=TABLE)
def extend(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="The request's id, as `erase status` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it takes longer; the certificate says it.")],
    as_json: Json = False,
) -> Answer:
    """Give a request two further months, once, for a reason that the person is told."""
    from offloader.disposition.erasure import extend as longer  # noqa: PLC0415
    from offloader.disposition.subjects import request_of  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        row = longer(site, request_of(site, request), reason)
    lines = [f"{row.id} is due on {row.due} now. Tell the person, with the reason, before the first month is over."]
    return Answer(data=_request(row), lines=lines)


@app.command(epilog=TABLE)
def certificate(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan that was carried out.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the files.")],
    backup: Annotated[
        list[str] | None,
        typer.Option("--backup", help="A back-up outside of offloader, as NAME=DAY on which it is overwritten."),
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Write the certificate of an erasure: signed JSON, and a page to read in English and in Dutch."""
    from offloader.disposition.certificate import certify, write  # noqa: PLC0415

    session = session_of(context)
    organisation = session.config().settings.reports.organisation
    with session.site(exclusive=False, dry_run=True) as site:
        made = certify(site, plan, backups=_backups(backup or ()), organisation=organisation)
    files = write(made, out, ("en", "nl"))
    lines = [
        *(f"{path}" for path in files),
        (
            f"{len(made.statement['documents'])} documents, {len(made.statement['not_reached'])} places not reached "
            f"yet, {len(made.statement['kept'])} documents kept."
        ),
    ]
    if not made.signature:
        lines.append("! It is not signed: there is no `audit.key` in the configuration.")
    return Answer(data={"files": [str(path) for path in files], "certificate": made.as_json()}, lines=lines)


@app.command(epilog=TABLE)
def replay(context: typer.Context, delete_in_crm: DeleteInCrm = False, as_json: Json = False) -> Answer:
    """After a ledger, a store or a CRM was restored: plan to erase again what was erased before."""
    from offloader.disposition.erasure import plan_returned  # noqa: PLC0415
    from offloader.disposition.tombstones import returned  # noqa: PLC0415
    from offloader.moves.tombstoned import gather  # noqa: PLC0415

    with session_of(context).site(dry_run=True) as site:
        read = gather(site)
        known = len(site.ledger.tombstones())
        made = plan_returned(site, returned(site), delete_in_crm=delete_in_crm)
    answer = _planned(made, None)
    line = f"{known} tombstones are known ({read} of them were read from the stores just now)."
    return Answer(answer.code, {**answer.data, "tombstones": known, "new_tombstones": read}, [line, *answer.lines])


def _backups(given: list[str] | tuple[()]) -> Mapping[str, str]:
    from offloader.holds import day  # noqa: PLC0415

    found = {}
    for each in given:
        name, equals, until = each.rpartition("=")
        if not equals or not name:
            raise ConfigError(f"a back-up is named NAME=DAY, as in tapes=2027-05-31; {each!r} is not")
        found[name] = day(until, "--backup").isoformat()
    return found


def _planned(made: ErasurePlan, request: RequestRow | None) -> Answer:
    from offloader.disposition.erasure import ERASE, REDACT, REVIEW  # noqa: PLC0415

    value: dict[str, Any] = {"request": _request(request) if request else None, "plan": None, "documents": []}
    clock = [f"Request {request.id}: received {request.received}, answer due {request.due}."] if request else []
    if request and not request.detail.get("ground"):
        clock.append("Say with --ground on which letter of Article 17(1) it rests: the certificate names it.")
    if made.row is None:
        return Answer(data=value, lines=[*clock, "Nothing was found; there is no plan.", *_strays(made.strays)])
    going, off, open_ = made.of(ERASE), made.of(REDACT), made.of(REVIEW)
    value |= {
        "plan": made.row.id,
        "sha256": made.row.sha256,
        "documents": [_document(each) for each in made.planned],
        "archived": _traces(made.archived),
        "strays": _stray_values(made.strays),
        "missing": [{"code": each.code, "message": each.message, "remedy": each.remedy} for each in made.missing],
    }
    lines = [
        *clock,
        f"Plan {made.row.id}: {len(going)} documents to erase for good, {len(made.planned) - len(going)} not"
        + (f"; the person is taken off {len(off)} of these." if off else "."),
        *(f"  {each.act:>6}  {each.ref}: {', '.join(each.why)}{_because(each)}" for each in made.planned),
        *_archive_lines(made.archived),
        *_strays(made.strays),
        *(f"! {each.message} {each.remedy}".rstrip() for each in made.missing),
        f"SHA-256 {made.row.sha256}",
        f"Nothing was erased. Carry it out with: offloader apply {made.row.id}",
    ]
    doubt = bool(made.strays) or not all(trace.sure for trace in made.archived)
    people = made.row.header.approvals.get("people", 0)
    if people:
        lines[-1] = f"Nothing was erased. {people} people must approve: offloader approve {made.row.id} --reason TEXT"
    return Answer(Exit.REVIEW if open_ or doubt else Exit.DONE, value, lines)


def _because(each: Planned) -> str:
    holds = f" (held by {', '.join(each.holds)}: stays until the release)" if each.holds else ""
    return f"; {each.text}{holds}"


def _document(each: Planned) -> dict[str, Any]:
    return {
        "document": str(each.ref),
        "act": each.act,
        "why": list(each.why),
        "text": each.text,
        "others": list(each.others),
        "holds": list(each.holds),
        "crm": each.crm,
    }


def _request(row: RequestRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "received": row.received.isoformat(),
        "due": row.due.isoformat(),
        "plan": row.plan,
    }


def _hits(found: Search) -> dict[str, Any]:
    hits = [
        {"document": str(hit.entry.document.ref), "why": hit.why, "others": list(hit.others), "sure": hit.sure}
        for hit in found.hits
    ]
    return {"documents": hits, "strays": _stray_values(found.strays)}


def _traces(archived: Sequence[Trace]) -> list[dict[str, str]]:
    return [{"record": str(trace.ref), "why": trace.why} for trace in archived]


def _archive_lines(archived: Sequence[Trace]) -> list[str]:
    return [f"  archived record {trace.ref}: {trace.why}{'' if trace.sure else '; left to you'}" for trace in archived]


def _stray_values(strays: Any) -> list[dict[str, str]]:
    return [{"store": store, "segment": key, "document": str(ref)} for store, key, ref in strays]


def _strays(strays: Any) -> list[str]:
    if not strays:
        return []
    head = f"! {len(strays)} lines of catalogs are about documents that the ledger does not know; see `reconcile`:"
    return [head, *(f"  {store}: {key}: {ref}" for store, key, ref in list(strays)[:SHOWN])]
