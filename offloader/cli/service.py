"""offloader service"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offloader.cli.apply import answer as answer_of_run
from offloader.cli.apply import disposed
from offloader.cli.exits import Exit, exit_for
from offloader.cli.output import Answer, printable
from offloader.cli.session import Json, Session, session_of
from offloader.errors import ConfigError, OffloaderError, Refused
from offloader.model import Assurance
from offloader.service import JOBS

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.disposition.scheduled import Turn
    from offloader.moves.site import Site
    from offloader.service import Done

#: from good to bad, for the exit code of several jobs
_ORDER = (Exit.DONE, Exit.REVIEW, Exit.DRIFT, Exit.REFUSED, Exit.USAGE, Exit.FAILED)


def command(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, and end; for a timer of your own.")] = False,
    as_json: Json = False,
) -> Answer:
    """Do the jobs of the configuration's `schedule` at their times, until stopped; a line of JSON a job on stderr."""
    from offloader.service import Service, Timing  # noqa: PLC0415

    session = session_of(context)
    config = session.config()
    schedule = config.settings.schedule
    wanted = {name: getattr(schedule, name) for name in JOBS}
    timings = {name: Timing.parse(text, schedule.time_zone) for name, text in wanted.items() if text}
    if not timings:
        raise ConfigError(f"{config.path}: `schedule` names no job; write `run: daily 02:00` there")
    outside = session.context()
    said: list[Mapping[str, Any]] = []
    with ExitStack() as stack:
        stack.callback(_alone(config, outside.now()))
        say = _sayer(said if once else None)
        service = Service(timings, _last(config, session), lambda name: perform(session, name), say, outside)
        if once:
            codes = [Exit(done.exit_code) for done in service.turn()]
            code = max(codes, key=_ORDER.index, default=Exit.DONE)
            lines = [f"{each['job']}: {each['message']}" for each in said] or ["Nothing is due."]
            return Answer(code, {"jobs": said}, lines)
        # asked to stop between two jobs, or where a job can go on another time
        with suppress(KeyboardInterrupt):
            service.serve()
    return Answer(lines=["Stopped."])


def _alone(config: Config, now: datetime) -> Callable[[], None]:
    """Make sure that no second service works on this ledger. Raises Refused."""
    from offloader.ledger.lock import Lock  # noqa: PLC0415

    path = config.ledger_path
    try:
        return Lock(path.with_name(f"{path.name}.service"), now).release
    except Refused as error:
        raise Refused(f"a service for the ledger {path} is running already", rule="one-service-per-ledger") from error
    except OSError as error:
        raise ConfigError(f"beside the ledger {path} no lock can be made ({error.strerror})") from error


def _sayer(said: list[Mapping[str, Any]] | None) -> Callable[[Mapping[str, Any]], None]:
    def say(line: Mapping[str, Any]) -> None:
        if said is not None:
            said.append(line)
        sys.stderr.write(json.dumps(line, ensure_ascii=True) + "\n")
        sys.stderr.flush()

    return say


def _last(config: Config, session: Session) -> dict[str, datetime]:
    """When each job was begun last, as the ledger knows it."""
    from offloader.ledger import open_ledger  # noqa: PLC0415

    if not config.ledger_path.exists():
        return {}
    with open_ledger(config.ledger_path, now=session.context().now, exclusive=False) as ledger:
        found = {name: ledger.meta(_key(name)) for name in JOBS}
    return {name: datetime.fromisoformat(text) for name, text in found.items() if text}


def perform(session: Session, name: str) -> Done:
    """Do one job with the configuration as it stands now, and write into the ledger when it was begun."""
    from offloader.service import Done  # noqa: PLC0415

    started = session.context().now()
    try:
        with session.site() as site:
            try:
                done = _WORK[name](site)
            except OffloaderError as error:
                done = Answer(exit_for(error), lines=[str(error)])
            stopped = site.interrupts.requested
            if not stopped:
                site.ledger.set_meta(_key(name), started.isoformat())
    except OffloaderError as error:
        return Done(exit_for(error), printable(str(error)), begun=False)
    return Done(done.code, printable(" ".join(done.lines)), stopped=stopped)


def _key(name: str) -> str:
    return f"job:{name}"


def _prove(site: Site) -> Answer:
    from offloader.moves.proofs import keep  # noqa: PLC0415

    found = {name: store.prove() for name, store in sorted(site.stores.items())}
    for proof in found.values():
        keep(site, proof)
    now = site.context.now()
    bad = {proof.assurance for proof in found.values() if not proof.usable_at(now)}
    code = Exit.FAILED if bad - {Assurance.DRIFT} else Exit.DRIFT if bad else Exit.DONE
    closed = [f"{name} is closed, {proof.summary}" for name, proof in found.items() if not proof.usable_at(now)]
    verdicts = ", ".join(f"{name} {proof.assurance}" for name, proof in found.items())
    return Answer(code, lines=[f"{verdicts}.", "; ".join(closed)] if closed else [f"{verdicts}."])


def _scan(site: Site) -> Answer:
    from offloader.moves.scan import scan  # noqa: PLC0415

    report = scan(site)
    said = f"{report.documents} documents listed, {report.new_versions} new versions, {report.deleted} deleted."
    spots = [f"NOT complete: {spot.message}" for spot in report.blind_spots]
    return Answer(Exit.REVIEW if spots or report.returned else Exit.DONE, lines=[said, *spots])


def _run(site: Site) -> Answer:
    from offloader.moves.run import run  # noqa: PLC0415

    report = run(site)
    whole = answer_of_run(report)
    stopped = [f"Stopped early: {report.stopped}"] if report.stopped else []
    return Answer(whole.code, whole.data, [*whole.lines[:2], *stopped, *report.errors[:1]])


def _dispose(site: Site, kind: str) -> Answer:
    from offloader.disposition.scheduled import take_turn  # noqa: PLC0415

    turn = take_turn(site, kind)
    carried = [disposed(report) for report in turn.reports]
    codes = [*(answer.code for answer in carried), *(exit_for(error) for error in turn.refused)]
    codes += [Exit.REVIEW] if turn.look or turn.review or turn.waiting else []
    lines = [*turn.seen, *(answer.lines[0] for answer in carried), *_due(turn)]
    lines += [f"Stopped early: {report.stopped}" for report in turn.reports if report.stopped]
    return Answer(max(codes, key=_ORDER.index, default=Exit.DONE), lines=lines)


def _due(turn: Turn) -> list[str]:
    """What is to be said of the plan that a job ended with."""
    if turn.plan is None:
        return [] if turn.stopped else ["Nothing is due."]
    name = turn.plan.id
    begun = f"Plan {name} was made" if turn.fresh else f"Plan {name} is as it was"
    counted = f"{begun}: {turn.waiting} to carry out, {turn.review} to review."
    return [counted, *([f"Somebody must approve it: offloader approve {name} --reason TEXT"] if turn.waiting else [])]


def _checkpoint(site: Site) -> Answer:
    from offloader.moves.checkpoints import checkpoint  # noqa: PLC0415

    made = checkpoint(site)
    if made is None:
        return Answer(lines=["The event log is empty."])
    said = f"Checkpoint over {made.size} events, root {made.root}."
    return Answer(Exit.REVIEW if made.notes else Exit.DONE, lines=[said, *made.notes])


_WORK: Mapping[str, Callable[[Site], Answer]] = {
    "prove": _prove,
    "scan": _scan,
    "run": _run,
    **{kind: partial(_dispose, kind=kind) for kind in ("expire", "erase", "rehome", "purge")},
    "checkpoint": _checkpoint,
}
