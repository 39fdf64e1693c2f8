"""Approvals: who may say yes to a plan, what a yes is worth, and what `apply` does without enough of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import pytest

from offloader import signing
from offloader.cli.exits import Exit, exit_for
from offloader.config import PersonOptions
from offloader.errors import ConfigError, Refused
from offloader.ledger import Approval
from offloader.moves.apply import apply_plan
from offloader.moves.approving import Said, approve, standing_of
from offloader.moves.plan import make_plan
from offloader.moves.run import run
from offloader.moves.scan import scan
from offloader.moves.sealing import plan_of
from offloader.moves.site import Site
from offloader.people import People
from offloader.ports import Approvals, Terms
from tests.scenarios.conftest import CountryPolicy, House

KEYS = {name: signing.new_key() for name in ("anna", "bert", "audit")}
PUBLIC = {name: signing.public_key(key) for name, key in KEYS.items()}
DAY = 86400


def person(**fields: str) -> PersonOptions:
    return PersonOptions.model_validate({"name": "Somebody", "role": "officer"} | fields)


@dataclass
class Office:
    """A house with people: `at(account)` opens its site for whoever works under that account."""

    house: House
    approvals: Approvals = field(default_factory=lambda: Approvals(people=1, days=14))
    audit_key: str | None = None
    people: dict[str, PersonOptions] = field(
        default_factory=lambda: {
            "maker": person(login="maker"),
            "anna": person(login="anna", public_key=PUBLIC["anna"]),
            "bert": person(public_key=PUBLIC["bert"]),
            "carl": person(login="carl", role="controller"),
            "dora": person(login="dora"),
        }
    )

    @contextmanager
    def at(self, account: str) -> Iterator[Site]:
        self.house.policy = CountryPolicy(terms=Terms(approvals=self.approvals))
        for site in self.house.site():
            names = [name for name, each in self.people.items() if each.login == account]
            yield replace(
                site,
                context=replace(site.context, account=account),
                person=names[0] if names else f"account:{account}",
                people=People(self.people, lambda: self.audit_key),
            )

    def plan(self, account: str = "maker") -> str:
        self.house.source.crm.document("File", b"x", parents=[self.house.account("DE")])
        with self.at(account) as site:
            scan(site)
            made = make_plan(site).id
        assert made is not None
        return made

    def says(self, account: str, plan: str, said: Said = Said.APPROVED, **how: str | int | None) -> Approval:
        with self.at(account) as site:
            return approve(site, plan, said, "because", **how)  # type: ignore[arg-type]

    def apply(self, plan: str) -> int:
        with self.at("maker") as site:
            return apply_plan(site, plan).moved

    def refusal(self, plan: str) -> str:
        """Why `apply` refuses; nothing was done then."""
        before = {ref: list(row.bodies) for ref, row in self.house.source.crm.rows.items()}
        with pytest.raises(Refused) as refused:
            self.apply(plan)
        assert exit_for(refused.value) is Exit.REFUSED
        assert {ref: list(row.bodies) for ref, row in self.house.source.crm.rows.items()} == before
        assert self.house.blobs(self.house.de) == []
        return str(refused.value)


@pytest.fixture
def office(house: House) -> Office:
    return Office(house)


def test_an_unapproved_plan_is_refused_and_an_approved_one_carried_out(office: Office) -> None:
    """Nothing moves before the approval, and exactly the plan after it."""
    plan = office.plan()
    assert "1 person must approve it, 0 did" in office.refusal(plan)

    said = office.says("carl", plan)

    assert (said.person, said.role, said.proof, said.signature) == ("carl", "controller", "login:carl", "")
    assert office.apply(plan) == 1


def test_run_stops_after_the_plan(office: Office) -> None:
    """`run` scans and plans, moves nothing, names the plan, and ends as refused; the approved plan can be applied."""
    ref = office.house.source.crm.document("File", b"x", parents=[office.house.account("DE")])
    with office.at("maker") as site:
        report = run(site)

    assert report.stop_error is not None
    assert exit_for(report.stop_error) is Exit.REFUSED
    assert report.plan is not None
    assert f"offloader approve {report.plan}" in (report.stopped or "")
    assert office.house.source.crm.bytes_of(ref) == [b"x"]
    office.says("carl", report.plan)
    assert office.apply(report.plan) == 1


def test_the_next_run_carries_out_what_was_approved(office: Office) -> None:
    """A plan that people have approved since is carried out by the next run, and no other one is made."""
    plan = office.plan()
    office.says("carl", plan)

    with office.at("maker") as site:
        report = run(site)

        assert (report.plan, report.moved, report.stopped) == (plan, 1, None)
        assert plan_of(site, plan).status == "done"


def test_a_run_leaves_an_approved_plan_that_no_longer_fits(office: Office) -> None:
    """What was approved for another world is passed over: the run makes a new plan and asks again."""
    plan = office.plan()
    office.says("carl", plan)
    (ref,) = office.house.source.crm.rows
    office.house.source.crm.edit(ref, b"newer")

    with office.at("maker") as site:
        report = run(site)

    assert report.plan not in (None, plan)
    assert exit_for(report.stop_error or Exception()) is Exit.REFUSED
    assert office.house.source.crm.bytes_of(ref) == [b"x", b"newer"]


def test_a_policy_that_asks_for_nobody_needs_nobody(office: Office) -> None:
    """With no approvals asked, plan and apply go as ever."""
    office.approvals = Approvals()

    assert office.apply(office.plan()) == 1


def test_who_is_nobody_is_told_what_to_write(office: Office) -> None:
    """An unknown account, or an unknown key, is refused with the lines to put into the configuration."""
    plan = office.plan()

    with pytest.raises(Refused, match="`login: eve`"):
        office.says("eve", plan)
    stranger = signing.new_key()
    with pytest.raises(Refused, match=f"public_key: {signing.public_key(stranger)}"):
        office.says("carl", plan, key=stranger)
    with pytest.raises(ConfigError, match="Ed25519"):
        office.says("carl", plan, key="no key")


def test_who_has_a_key_speaks_with_it(office: Office) -> None:
    """A person with a key is not recognised by the login alone, nor by the key under somebody else's login."""
    plan = office.plan()

    with pytest.raises(Refused, match="--key"):
        office.says("anna", plan)
    with pytest.raises(Refused, match="anna, who works under the account anna"):
        office.says("carl", plan, key=KEYS["anna"])
    said = office.says("anna", plan, key=KEYS["anna"])

    assert said.proof.startswith("key:")
    assert signing.opened(said.signature, PUBLIC["anna"]) == said.statement
    assert office.apply(plan) == 1


def test_two_people_who_share_a_login_are_nobody(office: Office) -> None:
    """Where a login belongs to two, it says of neither that they spoke."""
    office.people["carla"] = person(login="carl")

    with pytest.raises(Refused, match="carl and carla share"):
        office.says("carl", office.plan())


def test_without_a_key_of_their_own_the_audit_key_signs(office: Office) -> None:
    """Words of people without a key are signed by the audit log's key, and must be once there is one."""
    plan = office.plan()
    office.says("carl", plan)
    office.audit_key = KEYS["audit"]
    assert "carl: it is not signed" in office.refusal(plan)

    said = office.says("carl", plan)

    assert signing.opened(said.signature, PUBLIC["audit"])["person"] == "carl"
    assert office.apply(plan) == 1


@pytest.mark.parametrize(
    ("account", "key"),
    [("maker", None), ("root", "bert"), ("shared", "anna")],
    ids=["same person", "same unnamed account", "second person of the login"],
)
def test_the_preparer_cannot_approve(office: Office, account: str, key: str | None) -> None:
    """Who made the plan cannot approve it: not as a second person with the same login, nor from an unnamed account."""
    if account == "shared":
        office.people = {"first": person(login="shared"), "second": person(login="shared", public_key=PUBLIC["anna"])}
    plan = office.plan(account)

    with pytest.raises(Refused, match="made"):
        office.says(account, plan, key=KEYS[key] if key else None)

    assert "must approve" in office.refusal(plan)


def test_the_preparer_may_approve_where_the_policy_says_so(office: Office) -> None:
    """With `preparer`, one person can do both."""
    office.approvals = Approvals(people=1, preparer=True)
    plan = office.plan()

    office.says("maker", plan)

    assert office.apply(plan) == 1


def test_two_people_are_two(office: Office) -> None:
    """Two approvals of one person are one, and so are two people's with one key."""
    office.approvals = Approvals(people=2)
    office.people["twin"] = person(login="twin", public_key=PUBLIC["bert"])
    plan = office.plan()
    office.says("carl", plan)
    office.says("carl", plan)
    assert "2 people must approve it, 1 did" in office.refusal(plan)
    with pytest.raises(Refused, match="same key"):
        office.says("twin", plan, key=KEYS["bert"])
    del office.people["twin"]
    office.says("dora", plan)

    assert office.apply(plan) == 1


def test_one_login_configured_later_as_two_people_is_one(office: Office) -> None:
    """Two approvals whose people turn out to have one login count once."""
    office.approvals = Approvals(people=2)
    plan = office.plan()
    office.says("carl", plan)
    office.says("dora", plan)
    office.people["dora"] = person(login="carl")

    assert "the same person as carl" in office.refusal(plan)


def test_an_approval_ends(office: Office) -> None:
    """After its days an approval is worth nothing; `--days` shortens them and never lengthens them."""
    plan = office.plan()
    with pytest.raises(Refused, match="1 to 14 days"):
        office.says("carl", plan, days=15)
    office.says("carl", plan, days=3)
    office.house.clock.advance(3 * DAY)
    assert "carl: approved until 2026-01-08 09:00 UTC, which is over" in office.refusal(plan)

    office.says("carl", plan)
    office.house.clock.advance(13 * DAY)

    assert office.apply(plan) == 1


def test_a_withdrawn_approval_is_none(office: Office) -> None:
    """Who takes an approval back has not approved; there must be something to take back."""
    plan = office.plan()
    with pytest.raises(Refused, match="nothing about"):
        office.says("carl", plan, Said.WITHDRAWN)
    office.says("carl", plan)
    office.says("carl", plan, Said.WITHDRAWN)

    assert "carl: withdrawn on 2026-01-05" in office.refusal(plan)


def test_one_rejection_blocks(office: Office) -> None:
    """A plan that one person rejected stays where it is, whoever approves it, until that person takes it back."""
    plan = office.plan()
    office.says("dora", plan, Said.REJECTED)
    office.says("carl", plan)
    assert "dora rejected it on 2026-01-05 (because)" in office.refusal(plan)

    office.says("dora", plan, Said.WITHDRAWN)

    assert office.apply(plan) == 1


def test_nobody_else_lifts_a_rejection(office: Office) -> None:
    """A withdrawal that is not signed as it must be leaves the rejection where it is."""
    plan = office.plan()
    rejection = office.says("bert", plan, Said.REJECTED, key=KEYS["bert"])
    office.says("carl", plan)
    forged = replace(rejection, said=Said.WITHDRAWN)
    with office.at("carl") as site:
        site.ledger.approve(replace(forged, signature=signing.sign(forged.statement, KEYS["anna"])))

    assert "bert rejected it" in office.refusal(plan)


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (lambda a: replace(a, sha256="0" * 64), "approved another plan"),
        (lambda a: replace(a, person="ghost"), "ghost is not among `people`"),
        (lambda a: replace(a, signature=""), "not signed"),
        (lambda a: replace(a, signature=a.signature[:-4] + "AAAA"), "signature does not hold"),
        (lambda a: replace(a, signature=signing.sign(a.statement, KEYS["anna"])), "signature does not hold"),
    ],
    ids=["another hash", "unknown person", "unsigned", "spoilt", "another's key"],
)
def test_what_is_no_approval_of_this_plan(office: Office, forge: Callable[[Approval], Approval], problem: str) -> None:
    """A word for another hash, of nobody, or with a signature that does not hold is told apart and counts nothing."""
    plan = office.plan()
    good = office.says("bert", plan, key=KEYS["bert"])
    forged = forge(good)
    if forged.signature == good.signature:
        forged = replace(forged, signature=signing.sign(forged.statement, KEYS["bert"]))
    office.says("bert", plan, Said.WITHDRAWN, key=KEYS["bert"])
    with office.at("carl") as site:
        site.ledger.approve(forged)

    assert problem in office.refusal(plan)


def test_a_stretched_approval_is_found(office: Office) -> None:
    """An approval whose end was moved in the database itself is over, or unsigned, but never valid."""
    plan = office.plan()
    office.says("bert", plan, key=KEYS["bert"], days=1)
    office.house.clock.advance(2 * DAY)
    with closing(sqlite3.connect(office.house.directory / "ledger.sqlite")) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE approvals SET valid_until = '2030-01-01T00:00:00+00:00'")
        connection.execute("DROP TRIGGER approvals_no_update")
        connection.execute("UPDATE approvals SET valid_until = '2030-01-01T00:00:00+00:00'")
        connection.commit()

    assert "its signature is over other words" in office.refusal(plan)


def test_a_plan_that_was_carried_out_takes_no_approval(office: Office) -> None:
    """Only a sealed plan can be approved, and only once carried out."""
    plan = office.plan()
    office.says("carl", plan)
    office.apply(plan)

    with pytest.raises(Refused, match="is done"):
        office.says("dora", plan)
    with pytest.raises(ConfigError, match="P-nope"):
        office.says("dora", "P-nope")


def test_a_reason_is_needed(office: Office) -> None:
    """An empty reason is none."""
    plan = office.plan()
    with office.at("carl") as site, pytest.raises(Refused, match="say why"):
        approve(site, plan, Said.APPROVED, "  ")


def test_what_was_said_is_in_the_log(office: Office) -> None:
    """Every word is an event with its statement and its signature, and stands as the last word of its person."""
    plan = office.plan()
    said = office.says("bert", plan, key=KEYS["bert"])

    with office.at("carl") as site:
        events = [event.data for event in site.ledger.events() if event.type == "approval"]
        standing = standing_of(site, plan_of(site, plan))
    assert events == [{**said.statement, "signature": said.signature}]
    assert (standing.approved, standing.given, standing.needed) == (True, 1, 1)
    assert [voice.approval for voice in standing.voices] == [said]
