"""offloader approve"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import Exit
from offloader.cli.output import Answer, size
from offloader.cli.session import Json, private_key, session_of
from offloader.errors import ConfigError
from offloader.model import Verdict

if TYPE_CHECKING:
    from offloader.ledger import Approval, PlanRow
    from offloader.moves.approving import Standing


def command(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan's id, as the command that made it printed it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is kept and printed in reports.")],
    reject: Annotated[bool, typer.Option("--reject", help="Say no: nobody can carry the plan out.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take back what you said about the plan.")] = False,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it holds; the policy's own if not given, and never longer.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Your private key (a JWK), where `people` has your public one.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Approve a plan, reject it, or take that back: signed, for this very plan, by who you are to the machine."""
    from offloader.moves.approving import Said, approve, standing_of  # noqa: PLC0415
    from offloader.moves.sealing import plan_of  # noqa: PLC0415

    if reject and withdraw:
        raise ConfigError("--reject and --withdraw say different things; give one of them")
    said = Said.REJECTED if reject else Said.WITHDRAWN if withdraw else Said.APPROVED
    with session_of(context).site(dry_run=True) as site:
        approval = approve(site, plan, said, reason, days=days, key=private_key(key))
        row = plan_of(site, plan)
        standing = standing_of(site, row)
        name = site.people.persons[approval.person].name
    return _answer(name, approval, row, standing)


def _answer(name: str, approval: Approval, row: PlanRow, standing: Standing) -> Answer:
    moves = f"{row.totals['verdicts'].get(Verdict.MOVE, 0)} documents to move, {size(row.totals['bytes'])}"
    who = f"{name} ({approval.role})" if approval.role else name
    until = f", until {approval.valid_until:%Y-%m-%d %H:%M} UTC" if approval.said == "approved" else ""
    lines = [
        f"{who} {approval.said} plan {row.id}: {row.totals.get('summary', moves)}{until}.",
        f"SHA-256 {row.sha256}",
        f"Recognised by {approval.proof}; {_signed(approval)}.",
        _next(row, standing),
    ]
    data = {
        **approval.statement,
        "signature": approval.signature,
        "approvals": standing.given,
        "needed": standing.needed,
        "approved": standing.approved,
        "why_not": standing.why_not(),
    }
    return Answer(Exit.DONE, data, lines)


def _next(row: PlanRow, standing: Standing) -> str:
    if standing.approved:
        return f"The plan can be carried out: offloader apply {row.id}"
    return f"The plan cannot be carried out yet: {standing.why_not()}."


def _signed(approval: Approval) -> str:
    if not approval.signature:
        return "UNSIGNED: give the person a `public_key`, or the configuration an `audit.key`"
    return "signed with that key" if approval.proof.startswith("key:") else "signed with the key of the audit log"
