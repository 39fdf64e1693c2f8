"""offloader check"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from offloader.cli import check_places
from offloader.cli.check_places import SIGN
from offloader.cli.exits import Exit
from offloader.cli.output import Answer
from offloader.cli.session import Json, Session, session_of
from offloader.errors import ConfigError, OffloaderError
from offloader.model import Assurance, Finding, LocationProof, Severity

if TYPE_CHECKING:
    from offloader.config import Config
    from offloader.evidence import Baseline
    from offloader.plugins import Context


def command(
    context: typer.Context,
    permissions: Annotated[
        bool,
        typer.Option(
            "--permissions",
            help="Ask nothing: print what an administrator grants so that each store's questions may be asked.",
        ),
    ] = False,
    accept: Annotated[
        str | None, typer.Option(help="Accept what has changed about the place of this store; needs --reason.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why the change is accepted; it goes into the event log.")] = "",
    as_json: Json = False,
) -> Answer:
    """Log in everywhere; name every missing permission, what it would hide, and how each store proves its country."""
    session = session_of(context)
    config = session.config()
    if permissions:
        return _permissions(config)
    if accept is not None:
        return _accept(session, config, accept, reason)
    from offloader.wiring import links_of, open_policy  # noqa: PLC0415 - loads plugins

    outside = session.context()
    links_of(config, outside)
    for part in config.policies.values():
        open_policy(part, outside)
    findings = _findings(config, outside)
    places = _places(config, outside)
    return _answer(findings, _names(config, outside), places, outside)


def _findings(config: Config, outside: Context) -> dict[str, list[Finding]]:
    from offloader.wiring import open_source  # noqa: PLC0415

    found: dict[str, list[Finding]] = {}
    for name, part in config.sources.items():
        try:
            found[name] = list(open_source(part, config, outside, dry_run=True).check())
        except OffloaderError as error:
            found[name] = [Finding(Severity.ERROR, type(error).__name__, str(error))]
    return found


def _names(config: Config, outside: Context) -> dict[str, list[Finding]]:
    """What each policy names and the configuration lacks."""
    from offloader.cli.policy_choice import of  # noqa: PLC0415
    from offloader.cli.policy_names import findings, kinds_by_source  # noqa: PLC0415

    kinds = kinds_by_source(config, outside)
    return {name: list(findings(of(part, outside), config, kinds)) for name, part in config.policies.items()}


def _places(config: Config, outside: Context) -> dict[str, tuple[LocationProof, Baseline | None]]:
    """A fresh proof of every store, compared with the last accepted one, if there is a ledger that knows one."""
    from offloader.ledger import open_ledger  # noqa: PLC0415
    from offloader.moves.proofs import baseline_of  # noqa: PLC0415
    from offloader.wiring import open_store  # noqa: PLC0415
    from offloader.wrappers.watched import against  # noqa: PLC0415

    known: dict[str, Baseline | None] = dict.fromkeys(config.stores)
    if config.ledger_path.exists():
        with open_ledger(config.ledger_path, now=outside.now, exclusive=False) as ledger:
            known = {name: baseline_of(ledger, name) for name in config.stores}
    found = {}
    for name, part in config.stores.items():
        proof = open_store(part, config, outside, dry_run=True).prove()
        found[name] = (against(known[name], proof), known[name])
    return found


def _answer(
    findings: Mapping[str, list[Finding]],
    names: Mapping[str, list[Finding]],
    places: Mapping[str, tuple[LocationProof, Baseline | None]],
    outside: Context,
) -> Answer:
    now, said = outside.now(), []
    told = [*findings.items(), *names.items()]
    worst = max((f.severity for _, each in told for f in each), key=list(SIGN).index, default=Severity.OK)
    for name, each in told:
        for finding in each:
            hides = f" Hidden: {finding.hides}." if finding.hides else ""
            message = finding.message if finding.message.endswith(".") else f"{finding.message}."
            said.append(f"{SIGN[finding.severity]} {name}: {message}{hides} {finding.remedy}".rstrip())
    for proof, baseline in places.values():
        said += check_places.lines(proof, baseline, now)
    unusable = {proof.assurance for proof, _ in places.values() if not proof.usable_at(now)}
    code = {Severity.OK: Exit.DONE, Severity.WARNING: Exit.REVIEW, Severity.ERROR: Exit.FAILED}[worst]
    if unusable - {Assurance.DRIFT}:
        code = Exit.FAILED
    elif unusable and code is not Exit.FAILED:
        code = Exit.DRIFT
    data = {
        "sources": {name: list(map(_as_json, each)) for name, each in findings.items()},
        "policies": {name: list(map(_as_json, each)) for name, each in names.items()},
        "stores": {name: check_places.as_json(proof, baseline, now) for name, (proof, baseline) in places.items()},
    }
    return Answer(code, data, said)


def _as_json(found: Finding) -> dict[str, str]:
    return {
        "severity": found.severity,
        "code": found.code,
        "message": found.message,
        "hides": found.hides,
        "remedy": found.remedy,
    }


def _permissions(config: Config) -> Answer:
    from offloader.plugins import StorePlugin, load  # noqa: PLC0415

    granted = {name: load(StorePlugin, part.type).permissions(part.options) for name, part in config.stores.items()}
    said = []
    for name, policy in granted.items():
        said.append(f"{name}:" if policy else f"{name}: nothing is to be granted.")
        said += json.dumps(policy, indent=2).splitlines() if policy else []
    return Answer(data={"permissions": granted}, lines=said)


def _accept(session: Session, config: Config, store: str, reason: str) -> Answer:
    from offloader.evidence import drift  # noqa: PLC0415
    from offloader.ledger import open_ledger  # noqa: PLC0415
    from offloader.moves.proofs import accept, baseline_of  # noqa: PLC0415
    from offloader.wiring import open_store, person_of  # noqa: PLC0415

    if store not in config.stores:
        raise ConfigError(f"no store is named {store!r}; there are: {', '.join(config.stores)}")
    if not reason.strip():
        raise ConfigError("--accept needs --reason: whoever looks at the event log later must know why")
    outside = session.context()
    with open_ledger(config.ledger_path, now=outside.now, create=False) as ledger:
        baseline = baseline_of(ledger, store)
        proof = open_store(config.stores[store], config, outside, dry_run=True).prove()
        changed = drift(baseline, proof) if baseline else []
        accept(ledger, proof, person=person_of(config, outside), reason=reason, changed=changed)
    said = [f"  - {change}" for change in changed] or ["  - nothing"]
    return Answer(
        data={"store": store, "accepted": changed, "sha256": proof.sha256, "person": person_of(config, outside)},
        lines=[f"The place of {store} is accepted as it is now. Written down as changed:", *said],
    )
