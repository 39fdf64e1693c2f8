"""offloader apply"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from offloader.cli.exits import Exit, exit_for
from offloader.cli.output import Answer, came_back, size, why
from offloader.cli.session import Json, session_of
from offloader.errors import ConfigError

if TYPE_CHECKING:
    from offloader.disposition.acts import Report
    from offloader.moves.report import RunReport


def command(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="The plan's id, or the file that `--out` wrote when it was made.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="Refuse unless this file is the plan, line by line.")
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Carry out an approved plan exactly, or refuse and say what is missing, edited or drifted."""
    from offloader.disposition.kinds import apply_of  # noqa: PLC0415
    from offloader.moves.apply import apply_plan  # noqa: PLC0415
    from offloader.moves.sealing import plan_of  # noqa: PLC0415

    name, file = _named(plan, file)
    with session_of(context).site() as site, contextlib.ExitStack() as stack:
        lines = None if file is None else stack.enter_context(_opened(file))
        dispose = apply_of(plan_of(site, name))
        if dispose is not None:
            return disposed(dispose(site, name, lines))
        report = apply_plan(site, name, lines=lines)
    return answer(report)


def disposed(report: Report) -> Answer:
    """The end of a plan of acts: how many ended how, and why."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items())) or "nothing to do"
    lines = [
        f"Plan {report.plan} ({report.kind}): {states}.",
        *(f"  {state}: {reason}" for state, reason in sorted(report.examples.items())),
        *report.lines,
    ]
    if report.stopped:
        lines.append(f"Stopped early: {report.stopped}")
        code = Exit.FAILED if report.stop_error is None else exit_for(report.stop_error)
    elif report.states["failed"] or "error" in (report.checkpoint or {}):
        code = Exit.FAILED
    else:
        code = Exit.REVIEW if any(report.states[state] for state in ("conflict", "skipped", "held")) else Exit.DONE
    return Answer(code, report.as_json(), lines)


def _named(plan: str, file: Path | None) -> tuple[str, Path | None]:
    """The plan's id, and the file to compare it with, if any."""
    path = Path(plan)
    if file is not None or not path.is_file():
        return plan, file
    with _opened(path) as lines:
        first = lines.readline()
    try:
        name = json.loads(first)["plan"]
    except (ValueError, KeyError, TypeError, RecursionError):
        name = None
    if not isinstance(name, str):
        raise ConfigError(f"{path} does not begin as a plan that `offloader plan --out` wrote")
    return name, path


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"the plan {path} cannot be read: {error.strerror}") from error


def answer(report: RunReport) -> Answer:
    """The end of a run: numbers, what stayed and why, what to do next."""
    if getattr(report.stop_error, "rule", None) == "approvals":
        return Answer(_code(report), report.as_json(), [f"Nothing was moved: {report.stopped}"])
    requests = sum(report.crm_requests.values())
    lines = [
        (
            f"{report.moved} documents moved ({report.versions_moved} versions, {size(report.bytes)}), "
            f"{report.links_verified} links written and read back, {report.originals_removed} originals removed."
        ),
        (
            f"{report.kept} kept, {report.held} held, {report.blocked} blocked, {report.review} to review, "
            f"{report.conflict} changed meanwhile, {report.failed} failed."
        ),
        *why(report.reasons, report.examples),
        f"{requests} CRM requests in {report.seconds:.1f} s.",
        *(f"NOT complete: {spot}" for spot in report.blind_spots),
        *came_back(report.returned),
        *(f"! {error}" for error in report.errors),
        *(f"! {note}" for note in _sealing(report)),
    ]
    if report.stopped:
        lines.append(f"Stopped early: {report.stopped}")
    return Answer(_code(report), report.as_json(), lines)


def _sealing(report: RunReport) -> list[str]:
    """What is to be said about the event log's checkpoint."""
    made = report.checkpoint or {}
    return [*([made["error"]] if "error" in made else ()), *made.get("notes", ())]


def _code(report: RunReport) -> Exit:
    if report.stop_error is not None:
        return exit_for(report.stop_error)
    if report.failed or "error" in (report.checkpoint or {}):
        return Exit.FAILED
    if report.review or report.conflict or report.blind_spots or report.returned or _sealing(report):
        return Exit.REVIEW
    return Exit.DONE
