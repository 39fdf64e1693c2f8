"""offloader apply"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli.exits import Exit, exit_for
from offloader.cli.output import Answer, came_back, size, why
from offloader.cli.session import Json, session_of

if TYPE_CHECKING:
    from offloader.moves.report import RunReport


def command(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan's id, as `offloader plan` printed it.")],
    as_json: Json = False,
) -> Answer:
    """Carry out a plan exactly, or refuse and say what drifted."""
    from offloader.moves.apply import apply_plan  # noqa: PLC0415

    with session_of(context).site() as site:
        report = apply_plan(site, plan)
    return answer(report)


def answer(report: RunReport) -> Answer:
    """The end of a run: numbers, what stayed and why, what to do next."""
    requests = sum(report.crm_requests.values())
    lines = [
        (
            f"{report.moved} documents moved ({report.versions_moved} versions, {size(report.bytes)}), "
            f"{report.links_verified} links written and read back, {report.originals_removed} originals removed."
        ),
        (
            f"{report.kept} kept, {report.blocked} blocked, {report.review} to review, "
            f"{report.conflict} changed meanwhile, {report.failed} failed."
        ),
        *why(report.reasons, report.examples),
        f"{requests} CRM requests in {report.seconds:.1f} s.",
        *(f"NOT complete: {spot}" for spot in report.blind_spots),
        *came_back(report.returned),
        *(f"! {error}" for error in report.errors),
    ]
    if report.stopped:
        lines.append(f"Stopped early: {report.stopped}")
    return Answer(_code(report), report.as_json(), lines)


def _code(report: RunReport) -> Exit:
    if report.stop_error is not None:
        return exit_for(report.stop_error)
    if report.failed:
        return Exit.FAILED
    if report.review or report.conflict or report.blind_spots or report.returned:
        return Exit.REVIEW
    return Exit.DONE
