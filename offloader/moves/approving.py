"""Approve: what people say about a sealed plan, and whether that is enough to carry it out.

Of each person the last word counts. An approval stands while it is good (said by somebody in `people`, signed where
it must be), for this very plan, not expired, and not by the one who made the plan where the policy wants four eyes.
One rejection blocks the plan until the same person takes it back.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from offloader.errors import Refused
from offloader.ledger import Approval, PlanRow
from offloader.ledger.journal import plain
from offloader.moves.caps import asked
from offloader.moves.sealing import plan_of
from offloader.moves.site import Site
from offloader.people import ACCOUNT, People, Speaker
from offloader.ports import Approvals

RULE = "approvals"
#: plans about which something can be said
OPEN = ("sealed", "applying")


class Said(enum.StrEnum):
    """What a person can say about a plan."""

    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Voice:
    """The last word of one person, and why it does not count as an approval; `problem` is empty if it does."""

    approval: Approval
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a plan stands with the people: how many must approve, and what each one who spoke said."""

    needed: int
    voices: tuple[Voice, ...] = ()

    @property
    def given(self) -> int:
        """How many approvals stand, of different people."""
        return sum(not voice.problem for voice in self.voices)

    @property
    def rejections(self) -> tuple[Approval, ...]:
        return tuple(voice.approval for voice in self.voices if voice.approval.said == Said.REJECTED)

    @property
    def approved(self) -> bool:
        """Whether the plan may be carried out, as far as people go."""
        return not self.rejections and self.given >= self.needed

    def why_not(self) -> str:
        """Why it may not be carried out, in words; empty if it may."""
        if self.approved:
            return ""
        if self.rejections:
            first = self.rejections[0]
            return f"{first.person} rejected it on {first.at:%Y-%m-%d} ({first.reason}), and has not taken that back"
        others = [f"{voice.approval.person}: {voice.problem}" for voice in self.voices if voice.problem]
        said = f"; of no use: {'; '.join(others)}" if others else ""
        return f"{self.needed} {'person' if self.needed == 1 else 'people'} must approve it, {self.given} did{said}"


def standing(people: People, row: PlanRow, approvals: Sequence[Approval], asking: Approvals, now: datetime) -> Standing:
    """What the people's words about a plan amount to at that moment."""
    last: dict[str, Voice] = {}
    for approval in approvals:
        doubt = people.doubt(approval.person, approval.statement, approval.signature)
        before = last.get(approval.person)
        if doubt and before is not None and before.approval.said == Said.REJECTED:
            continue  # nobody else lifts a person's rejection
        last[approval.person] = Voice(approval, doubt)
    voices: list[Voice] = []
    for voice in last.values():
        problem = voice.problem or _problem(people, row, voice.approval, asking, now)
        twin = next((o.approval.person for o in voices if people.same(o.approval.person, voice.approval.person)), None)
        if not problem and twin is not None:
            problem = f"the same person as {twin} (one login or one key)"
        voices.append(replace(voice, problem=problem))
    return Standing(max(asking.people, row.header.approvals.get("people", 0)), tuple(voices))


def _problem(people: People, row: PlanRow, approval: Approval, asking: Approvals, now: datetime) -> str:
    """Why a good word is no approval of this plan now."""
    if approval.said != Said.APPROVED:
        return f"{approval.said} on {approval.at:%Y-%m-%d}"
    if approval.sha256 != row.sha256:
        return f"approved another plan (SHA-256 {approval.sha256[:12]}…, this one is {(row.sha256 or '')[:12]}…)"
    if approval.valid_until <= now:
        return f"approved until {approval.valid_until:%Y-%m-%d %H:%M} UTC, which is over"
    if not _preparer_may(row, asking) and people.same(row.header.by, approval.person):
        return f"made the plan (as {row.header.by}), and may not approve it"
    return ""


def _preparer_may(row: PlanRow, asking: Approvals) -> bool:
    return asking.preparer and bool(row.header.approvals.get("preparer", True))


def standing_of(site: Site, row: PlanRow) -> Standing:
    """Where a plan stands now, by what the policies ask for now and asked for when it was made."""
    asking = asked(site, row.header.sources)[0]
    return standing(site.people, row, site.ledger.approvals(row.id), asking, site.context.now())


def check_approvals(site: Site, row: PlanRow) -> None:
    """Raise Refused, saying who has to do what, unless enough people have approved a plan and nobody rejected it."""
    problem = standing_of(site, row).why_not()
    if problem:
        raise Refused(
            f"plan {row.id} is not approved: {problem}. Approve it with: offloader approve {row.id} --reason TEXT",
            rule=RULE,
        )


def approve(
    site: Site, plan_id: str, said: Said, reason: str, *, days: int | None = None, key: str | None = None
) -> Approval:
    """Keep what the person who works now (or holds `key`, a JWK as text) says about a plan.

    Raises Refused when that is nobody in `people`, when the plan is no longer open, when the person may not approve
    it, or `days` is more than the policies allow; ConfigError when there is no such plan, or the key is none.
    """
    row = plan_of(site, plan_id)
    if row.status not in OPEN or row.sha256 is None:
        raise Refused(f"plan {plan_id} is {row.status}; only a sealed plan can be approved", rule="plan-status")
    if not reason.strip():
        raise Refused("say why: an empty reason is none", rule=RULE)
    speaker = site.people.speaker(site.context.account, key)
    asking = asked(site, row.header.sources)[0]
    most = min(asking.days, row.header.approvals.get("days", asking.days)) if asking.people else asking.days
    if said is Said.APPROVED:
        _check_speaker(site, row, asking, speaker)
        if days is not None and not 0 < days <= most:
            raise Refused(f"an approval of this plan holds 1 to {most} days, not {days}", rule=RULE)
    now = site.context.now()
    approval = Approval(
        plan=row.id,
        sha256=row.sha256,
        person=speaker.name,
        proof=speaker.proof,
        role=speaker.role,
        said=said,
        reason=plain(reason.strip()),
        at=now,
        valid_until=now + timedelta(days=days or most),
    )
    if said is Said.WITHDRAWN:
        _check_withdrawal(site, approval)
    approval = replace(approval, signature=speaker.sign(approval.statement))
    site.ledger.approve(approval)
    return approval


def _check_speaker(site: Site, row: PlanRow, asking: Approvals, speaker: Speaker) -> None:
    if _preparer_may(row, asking):
        return
    by = row.header.by
    if site.people.same(by, speaker.name):
        raise Refused(
            f"{speaker.name} made plan {row.id} (as {by}); the policy wants somebody else to approve it", rule=RULE
        )
    if by == f"{ACCOUNT}{site.context.account}":
        raise Refused(
            f"plan {row.id} was made under this very account ({site.context.account}), which is nobody in `people`: "
            "whether you made it cannot be told. Give the account a person in `people` and make the plan again",
            rule=RULE,
        )


def _check_withdrawal(site: Site, withdrawal: Approval) -> None:
    mine = [each for each in site.ledger.approvals(withdrawal.plan) if each.person == withdrawal.person]
    if not mine or mine[-1].said == Said.WITHDRAWN:
        raise Refused(f"{withdrawal.person} has said nothing about {withdrawal.plan} to take back", rule=RULE)
