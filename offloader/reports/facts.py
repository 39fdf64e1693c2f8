"""What a report says of sources, stores, policies and people, apart from any document."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from offloader.config import Config
from offloader.ledger import PlanHeader, PlanRow
from offloader.ledger.codec import when
from offloader.moves.approving import Standing, standing_of
from offloader.moves.site import Site
from offloader.ports import Terms
from offloader.reports import processing
from offloader.reports.model import Count, PolicyFacts, SignOff, SourceFacts, TargetFacts
from offloader.reports.sums import Tally, Use

#: where the ledger keeps who a source said that it is (`offloader.moves.identity`)
_IDENTITY = "identity:{}"


def sources(site: Site, config: Config, header: PlanHeader) -> tuple[SourceFacts, ...]:
    """The CRMs that the plan is about."""
    return tuple(_source(site, config, header, name) for name in header.sources)


def _source(site: Site, config: Config, header: PlanHeader, name: str) -> SourceFacts:
    part, source = config.sources.get(name), site.sources.get(name)
    who = json.loads(site.ledger.meta(_IDENTITY.format(name)) or "{}")
    kinds = [kind.kind for kind in source.capabilities.kinds] if source else []
    scans = [site.ledger.scan_state(name, kind) for kind in kinds]
    made = header.created
    ends = [scan.finished if scan else None for scan in scans]
    known = [end for end in ends if end is not None]
    spots = [f"{spot.message} {spot.hides}".strip() for scan in scans if scan for spot in scan.blind_spots]
    return SourceFacts(
        name=name,
        type=part.type if part else "",
        **{name: str(who.get(name, "")) for name in ("organisation", "environment", "address")},
        countries=tuple(site.homes.get(name, ())),
        scanned=min(known) if known and len(known) == len(ends) else None,
        marks={
            scan.kind: scan.watermark
            for scan in scans
            if scan and scan.watermark and scan.finished and made and scan.finished <= made
        },
        blind_spots=tuple(dict.fromkeys(spots)),
    )


def targets(header: PlanHeader) -> tuple[TargetFacts, ...]:
    """The stores with the proofs on which the plan rests; what is `chosen` is filled in later."""
    return tuple(_target(name, proof) for name, proof in sorted(header.proofs.items()))


def _target(name: str, proof: Mapping[str, object]) -> TargetFacts:
    assurance, _, countries = str(proof.get("proof", "")).partition(":")
    evidence = proof.get("evidence", {})
    return TargetFacts(
        name=name,
        assurance=assurance,
        countries=tuple(countries.split()),
        taken=when(str(proof.get("taken", ""))),
        expires=when(str(proof.get("expires", ""))),
        summary=str(proof.get("summary", "")),
        sha256=str(proof.get("sha256", "")),
        evidence=dict(evidence) if isinstance(evidence, Mapping) else {},
        chosen=Count(),
    )


def policy_names(config: Config, header: PlanHeader) -> dict[str, str]:
    """The name of each source's policy."""
    return {name: config.policy_for(name).name if name in config.sources else "" for name in header.sources}


def terms_of(site: Site, header: PlanHeader, source: str) -> Terms | None:
    """A source's policy's terms; None if the policy is no longer the one of the plan."""
    policy = site.policies.get(source)
    same = policy is not None and policy.fingerprint == header.policies.get(source)
    return policy.terms if policy is not None and same else None


def owners(site: Site, header: PlanHeader, since: date) -> dict[str, tuple[str, date | None]]:
    """Who settles each source's exceptions, and by which day."""
    found: dict[str, tuple[str, date | None]] = {}
    for source in header.sources:
        terms = terms_of(site, header, source) or Terms()
        found[source] = (terms.exceptions_owner, since + timedelta(days=terms.exceptions_days))
    return found


def policies(
    site: Site, config: Config, header: PlanHeader, uses: Mapping[str, Use], day: date
) -> tuple[PolicyFacts, ...]:
    """The policies of the plan's sources, with the record of processing that each gives."""
    by_policy: defaultdict[str, list[str]] = defaultdict(list)
    for source, name in policy_names(config, header).items():
        by_policy[name].append(source)
    stores = {target.name: target for target in targets(header)}
    measures = _measures(site, config)
    return tuple(
        _policy(site, header, name, found, uses.get(name, Use()), stores, measures, day)
        for name, found in sorted(by_policy.items())
    )


def _policy(
    site: Site,
    header: PlanHeader,
    name: str,
    found: list[str],
    use: Use,
    stores: Mapping[str, TargetFacts],
    measures: Mapping[str, str],
    day: date,
) -> PolicyFacts:
    """One policy. Name, version, layers and tables are the plan's own where its header has them."""
    fingerprint = str(header.policies.get(found[0], ""))
    terms = terms_of(site, header, found[0]) or Terms()
    kept = header.terms.get(found[0], {})
    layers = kept.get("layers", terms.layers)
    return PolicyFacts(
        name=name,
        version=str(kept.get("version", terms.version)),
        fingerprint=fingerprint,
        sources=tuple(found),
        layers=tuple((str(where), str(sha256)) for where, sha256 in layers),
        tables={str(table): str(version) for table, version in dict(kept.get("tables", terms.tables)).items()},
        overdue=tuple(sorted((rule, review) for rule, review in terms.reviews.items() if review < day)),
        processing=processing.row(terms.name or name, terms.processing, use, stores, measures, fingerprint),
    )


def _measures(site: Site, config: Config) -> dict[str, str]:
    """Store → how its bytes are protected beyond the transport, as far as the configuration says."""
    found = {}
    for name, store in site.stores.items():
        part = config.stores.get(name)
        parts = [
            "encrypted with age before it leaves the machine" if part and part.encryption else "",
            "object lock" if store.capabilities.object_lock else "",
        ]
        found[name] = ", ".join(filter(None, ["SHA-256 of every copy checked", *parts]))
    return found


def person(config: Config, name: str) -> str:
    """The name that a report prints for a short name of `people`, or for an account."""
    found = config.settings.people.get(name)
    return found.name if found is not None else name


def sign_offs(site: Site, config: Config, row: PlanRow) -> tuple[tuple[SignOff, ...], Standing]:
    """Every word of people about the plan, oldest first, and what it all comes to. Only a person's last word stands."""
    found = standing_of(site, row)
    good = [voice.approval for voice in found.voices if not voice.problem] + list(found.rejections)
    said = tuple(
        SignOff(
            person=person(config, each.person),
            role=each.role,
            said=each.said,
            at=each.at,
            valid_until=each.valid_until,
            reason=each.reason,
            stands=each in good,
        )
        for each in site.ledger.approvals(row.id)
    )
    return said, found


def chosen(
    site: Site, config: Config, facts: tuple[TargetFacts, ...], tallies: Mapping[str, Tally]
) -> tuple[TargetFacts, ...]:
    """The same stores with what goes to each, how it is protected there, and by which price list it is paid."""
    measures = _measures(site, config)
    return tuple(
        replace(
            each,
            chosen=tallies.get(each.name, Tally()).count(),
            protection=measures.get(each.name, ""),
            price_class=" ".join(site.tariffs.get(each.name) or ()),
        )
        for each in facts
    )


def scope(header: PlanHeader) -> dict[str, Any]:
    """What the plan was asked to be about: sources (none: all), and of a pilot how many documents of how many."""
    named = header.scope.get("sources", ())
    return {"sources": [*named], **({"pilot": dict(header.pilot)} if header.pilot else {})}
