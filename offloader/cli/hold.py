"""offloader hold"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.exits import TABLE
from offloader.cli.output import Answer
from offloader.cli.session import Json, private_key, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.holds import Hold

app = typer.Typer(name="hold", no_args_is_help=True, help="Add, list and release legal holds.")

Key = Annotated[Path | None, typer.Option("--key", help="Your private key, if you are recognised by one.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the ledger, never in the event log or a report.")]


@app.callback()
def group() -> None:
    """Add, list and release legal holds."""


@app.command(epilog=TABLE)
def add(
    context: typer.Context,
    matter: Annotated[str, typer.Option("--matter", help="What it is for; reports show it.")],
    reason: Reason,
    document: Annotated[
        list[str] | None, typer.Option("--document", help="A document: its link, or SOURCE/KIND/ID; may be repeated.")
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option("--record", help="All documents of a record, TYPE:ID or SOURCE/TYPE/ID; may be repeated."),
    ] = None,
    owner: Annotated[
        list[str] | None, typer.Option("--owner", help="All documents of a CRM user, by id; may be repeated.")
    ] = None,
    query: Annotated[str, typer.Option("--query", help='Such as "kind=Attachment type=Case signal.country=NL".')] = "",
    created_from: Annotated[str, typer.Option("--created-from", help="Created on this day or later.")] = "",
    created_to: Annotated[str, typer.Option("--created-to", help="Created on this day or earlier.")] = "",
    moves_allowed: Annotated[
        bool, typer.Option("--moves-allowed", help="Let moves go on; stored copies are still never removed.")
    ] = False,
    key: Key = None,
    as_json: Json = False,
) -> Answer:
    """Hold documents: nothing of them is removed, and by default nothing moved. All that is named has to fit."""
    from offloader.holds import Scope, day  # noqa: PLC0415
    from offloader.moves.matters import add, coverage  # noqa: PLC0415
    from offloader.moves.mirrored import pending  # noqa: PLC0415

    scope = Scope(
        documents=tuple(document or ()),
        records=tuple(_record(each) for each in record or ()),
        owners=tuple(owner or ()),
        created_from=day(created_from, "--created-from") if created_from else None,
        created_to=day(created_to, "--created-to") if created_to else None,
    ).with_query(query)
    with session_of(context).site(exclusive=False) as site:
        hold = add(
            site, matter=matter, scope=scope, reason=reason, freezes_moves=not moves_allowed, key=private_key(key)
        )
        covered = coverage(site, [hold])[hold.id]
        unkept = pending(site)
    lines = [
        f"{hold.id} stands for matter {hold.matter}: it covers {covered} documents now, and those that come later."
    ]
    if not covered:
        lines.append("! It covers nothing that the ledger knows. Is every id written as `scan` sees it?")
    return Answer(data={**_value(hold, covered), **_unkept(unkept)}, lines=[*lines, *_waiting(unkept)])


@app.command(name="list", epilog=TABLE)
def list_(
    context: typer.Context,
    matter: Annotated[str, typer.Option("--matter", help="Only holds of this matter.")] = "",
    as_json: Json = False,
) -> Answer:
    """List all holds, those that were released too, and how many documents each covers."""
    from offloader.moves.matters import coverage  # noqa: PLC0415
    from offloader.moves.mirrored import pending  # noqa: PLC0415

    with session_of(context).site(exclusive=False, dry_run=True) as site:
        holds = [hold for hold in site.ledger.holds() if matter in ("", hold.matter)]
        counts = coverage(site, holds)
        unkept = pending(site)
    lines = [_line(hold, counts[hold.id]) for hold in holds]
    data = {"holds": [_value(hold, counts[hold.id]) for hold in holds]}
    return Answer(data={**data, **_unkept(unkept)}, lines=[*lines, *_waiting(unkept)] or ["There are no holds."])


@app.command(epilog=TABLE)
def release(
    context: typer.Context,
    hold: Annotated[str, typer.Argument(help="The hold's id, as `hold list` shows it.")],
    reason: Reason,
    key: Key = None,
    as_json: Json = False,
) -> Answer:
    """Agree to the end of one hold. It ends when a second person has agreed as well."""
    from offloader.moves.matters import release  # noqa: PLC0415
    from offloader.moves.mirrored import pending  # noqa: PLC0415

    with session_of(context).site(exclusive=False) as site:
        found = release(site, hold, reason=reason, key=private_key(key))
        unkept = pending(site)
    if found.released_at is None:
        line = (
            f"{found.id} still stands: another person has to release it too, with `offloader hold release {found.id}`."
        )
    else:
        line = f"{found.id} is released. What no other hold covers is decided again by the next plan."
    return Answer(data={**_value(found, None), **_unkept(unkept)}, lines=[line, *_waiting(unkept)])


def _record(text: str) -> str:
    """TYPE:ID, also of a record that is named with its source: ids of two CRMs are never the same."""
    type_, slash, name = text.partition("/")[2].partition("/")
    if not slash:
        type_, _, name = text.partition(":")
    if not (type_ and name):
        raise ConfigError(
            f"a record is named TYPE:ID, as in Case:500000000000001, or SOURCE/TYPE/ID; {text!r} is neither"
        )
    return f"{type_}:{name}"


def _value(hold: Hold, documents: int | None) -> Mapping[str, Any]:
    return {
        "hold": hold.id,
        "matter": hold.matter,
        "scope": hold.scope.as_json(),
        "moves_allowed": not hold.freezes_moves,
        "by": hold.person,
        "at": hold.at,
        "released": hold.released_at is not None,
        "released_at": hold.released_at,
        "agreed": [{"person": each.person, "at": each.at} for each in hold.releases],
        "documents": documents,
    }


def _unkept(pending: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {"not_kept_in": sorted(pending)}


def _waiting(pending: Mapping[str, Sequence[str]]) -> list[str]:
    if not pending:
        return []
    return [f"! Not known to be in the stores {', '.join(sorted(pending))} yet: the next run or checkpoint tells them."]


def _line(hold: Hold, documents: int) -> str:
    if hold.released_at is not None:
        state = f"released {hold.released_at[:10]} by {' and '.join(each.person for each in hold.releases)}"
    elif hold.releases:
        state = f"stands; {hold.releases[0].person} agreed to its release, one more person has to"
    else:
        state = "stands"
    scope = "; ".join(f"{name} {_words(value)}" for name, value in hold.scope.as_json().items() if name != "pks")
    moves = "" if hold.freezes_moves else ", moves allowed"
    return (
        f"{hold.id}  {hold.matter}: {documents} documents{moves}, {state} (by {hold.person}, {hold.at[:10]}; {scope})"
    )


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={'/'.join(values)}" for name, values in value.items())
    return value if isinstance(value, str) else ", ".join(map(str, value))
