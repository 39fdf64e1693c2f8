"""Audit: check the event log against its own chain, its checkpoints, and the copies of these elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offloader import signing
from offloader.audit import GENESIS, canonical
from offloader.errors import ConfigError, IntegrityError, OffloaderError
from offloader.holds import Hold, Release
from offloader.ledger.checkpointing import CheckpointRow, EventText
from offloader.merkle import Frontier
from offloader.moves.checkpoints import FORMAT, PREFIX, chained, key_of, leaf_of, ledger_id, statement, texts
from offloader.moves.site import Site
from offloader.ports import Store

#: what the log tells of holds: hold and person (empty: the hold itself) → the event's data
Told = dict[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Claim:
    """A checkpoint's statement and where it was found; `signature` is empty if nobody signed it."""

    where: str
    statement: Mapping[str, Any]
    signature: str = ""

    @property
    def size(self) -> int:
        return int(self.statement["size"])


@dataclass(slots=True)
class Verified:
    """What checking found. `problems` are breaches, `notes` what could not be checked or should be looked at."""

    events: int = 0
    head: str = GENESIS
    root: str = ""
    checkpoints: int = 0
    signatures: int = 0
    copies: int = 0
    #: number of the first event that cannot be trusted
    first_bad: int | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def breach(self, text: str, event: int | None = None) -> None:
        self.problems.append(text)
        if event is not None:
            self.first_bad = event if self.first_bad is None else min(event, self.first_bad)

    def as_json(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "head": self.head,
            "root": self.root,
            "checkpoints": self.checkpoints,
            "signatures": self.signatures,
            "copies": self.copies,
            "first_bad": self.first_bad,
            "problems": self.problems,
            "notes": self.notes,
        }


def verify(site: Site, *, public: Sequence[str] = (), outside: Iterable[tuple[str, str]] = ()) -> Verified:
    """Check everything that the log says of itself, and what others have kept of it. Changes nothing.

    `public` are public keys (base64url) that checkpoints may be signed with; none: the configured one. `outside` are
    texts of checkpoints kept elsewhere, each with its name. Raises ConfigError if one of them is no checkpoint.
    """
    found = Verified()
    keys = tuple(public) or _own_key(site)
    rows = site.ledger.checkpoints()
    claims = [_claim(name, text) for name, text in outside]
    first = next(texts(site), None)
    ledger = ledger_id(first.hash) if first is not None else ""
    for name in site.audit.stores:
        claims += _copies(site, name, ledger, rows, keys, found)
    told = _walk(site, rows, claims, found)
    for row in rows:
        _check_row(site, ledger, row, keys, found)
    for claim in claims:
        if claim.statement["ledger"] != ledger:
            found.breach(f"{claim.where} is of another log ({claim.statement['ledger']}, this one is {ledger})", 1)
        _check_signature(claim.signature, claim.statement, claim.where, keys, found)
    found.checkpoints = len(rows)
    if any(row.signature for row in rows) and not keys:
        found.notes.append("no signature was checked: give the public key with --public")
    if not rows:
        found.notes.append("there is no checkpoint: events cut off at the log's end would not be missed")
    _check_holds(site, told, found)
    return found


def _own_key(site: Site) -> tuple[str, ...]:
    key = site.audit.key()
    return () if key is None else (signing.public_key(key),)


def _claim(name: str, text: str) -> Claim:
    """A checkpoint kept outside: a JWS (its signature is checked later), or its bare statement."""
    text = text.strip()
    try:
        value = json.loads(text) if text.startswith("{") else _payload(text)
        if value["format"] != FORMAT or not isinstance(value["size"], int):
            raise ValueError
        known = {name: value[name] for name in ("format", "ledger", "size", "root", "head", "at")}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"{name} holds no checkpoint of an event log") from error
    return Claim(name, known, "" if text.startswith("{") else text)


def _payload(signature: str) -> Any:
    """What a compact JWS is over, not checked."""
    middle = signature.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def _copies(
    site: Site, name: str, ledger: str, rows: Sequence[CheckpointRow], keys: Sequence[str], found: Verified
) -> list[Claim]:
    """The checkpoints that a store holds; each that should be there and is not, or is another one, is a breach."""
    mine = f"{PREFIX}{ledger}/"
    try:
        store = site.stores[name]
        listed = [key for key, _ in store.list(PREFIX)]
        held = {key: _text(store, key) for key in listed if key.startswith(mine)}
        newest = {key.split("/")[1]: key for key in sorted(listed) if not key.startswith(mine)}
        others = {other: _text(store, key) for other, key in newest.items()}
    except KeyError:
        found.notes.append(f"copies were not compared: there is no store {name}")
        return []
    except OffloaderError as error:
        found.notes.append(f"copies were not compared: {error}")
        return []
    for row in rows:
        if name in row.stores and row.stores[name] not in held:
            found.breach(f"the store {name} has lost its copy of the checkpoint over {row.size} events")
        if row.signature and held.get(key_of(ledger, row), row.signature) != row.signature:
            found.breach(f"the store {name} holds another checkpoint over {row.size} events than the ledger")
    for other, text in others.items():
        if any(_is_by(text, key) for key in keys):
            found.notes.append(
                f"the store {name} holds checkpoints of another log ({other}) by the same key: "
                "was this ledger made anew?"
            )
    return _held_claims(name, held, found)


def _text(store: Store, key: str) -> str:
    return b"".join(store.read(key)).decode("utf-8", "replace")


def _is_by(signature: str, key: str) -> bool:
    try:
        return bool(signing.opened(signature, key))
    except IntegrityError:
        return False


def _held_claims(name: str, held: Mapping[str, str], found: Verified) -> list[Claim]:
    claims = []
    for key, text in held.items():
        try:
            claims.append(_claim(f"{key} in the store {name}", text))
        except ConfigError as error:
            found.breach(str(error))
        else:
            found.copies += 1
    return claims


def _walk(site: Site, rows: Sequence[CheckpointRow], claims: Sequence[Claim], found: Verified) -> Told:
    """Read the log once: the chain, and at each size that a checkpoint speaks of, the tree's root and the head.

    Returns what it tells of holds.
    """
    edge, broken = Frontier(), False
    told: Told = {}
    said = _by_size(rows, claims)
    for event in texts(site):
        if not broken:
            broken = _check_event(edge.size + 1, found.head, event, found)
        edge.add(leaf_of(event))
        found.head = event.hash
        if '"type":"hold' in event.text:
            _hear(event, told, found)
        for where, root, head in said.pop(edge.size, ()):
            if root != edge.root().hex() or head not in ("", event.hash):
                found.breach(f"event {edge.size} or one before it is not what {where} was made of", edge.size)
    found.events, found.root = edge.size, edge.root().hex()
    for size, speakers in sorted(said.items()):
        for where, _, _ in speakers:
            found.breach(
                f"the log ends at event {edge.size}, but {where} is over {size}: events {edge.size + 1} to {size} "
                "are missing",
                edge.size + 1,
            )
    return told


def _hear(event: EventText, told: Told, found: Verified) -> None:
    """Note what an event tells of a hold or a release."""
    try:
        data = json.loads(event.text)["data"]
        if data["type"] == "hold" and "pks" not in data:
            data["pks"] = data["scope"].pop("pks", [])  # where the numbers once stood
        told[str(data["hold"]), "" if data["type"] == "hold" else str(data["person"])] = data
    except (ValueError, KeyError, TypeError):
        found.breach(f"event {event.seq} tells of a hold, but cannot be read", event.seq)


def _by_size(rows: Sequence[CheckpointRow], claims: Sequence[Claim]) -> dict[int, list[tuple[str, str, str]]]:
    """Where, root and head (empty: not said) of all checkpoints, by how many events they are over."""
    said: dict[int, list[tuple[str, str, str]]] = {}
    for row in rows:
        said.setdefault(row.size, []).append((_name(row), row.root, ""))
    for claim in claims:
        told = (claim.where, str(claim.statement["root"]), str(claim.statement["head"]))
        said.setdefault(claim.size, []).append(told)
    return said


def _check_event(due: int, previous: str, event: EventText, found: Verified) -> bool:
    """Whether the chain breaks here."""
    if event.seq != due:
        found.breach(f"event {due} is missing: {event.seq} stands in its place", due)
    elif not chained(previous, event):
        found.breach(f"event {due} was changed, or is not the one that stood there", due)
    else:
        return False
    return True


def _name(row: CheckpointRow) -> str:
    return f"the checkpoint over {row.size} events of {row.at[:10]}"


def _check_row(site: Site, ledger: str, row: CheckpointRow, keys: Sequence[str], found: Verified) -> None:
    if not row.signature:
        found.notes.append(f"{_name(row)} is not signed")
        return
    there = site.ledger.event_texts(after=row.size - 1, limit=1)
    if there:
        _check_signature(row.signature, statement(ledger, row, there[0].hash), _name(row), keys, found)


def _check_signature(
    signature: str, expected: Mapping[str, Any], where: str, keys: Sequence[str], found: Verified
) -> None:
    if not signature or not keys:
        return
    for key in keys:
        try:
            said = signing.opened(signature, key)
        except IntegrityError:
            continue
        if said == dict(expected):
            found.signatures += 1
        else:
            found.breach(f"what was signed is not {where} as it stands now")
        return
    found.breach(f"the signature of {where} is by none of the known keys")


def _check_holds(site: Site, told: Told, found: Verified) -> None:
    """Whether holds and releases are as the log tells of them, and signed by who made them."""
    holds = {hold.id: hold for hold in site.ledger.holds()}
    for name, person in told:
        if name not in holds:
            found.breach(f"the hold {name} is gone from the ledger")
        elif person and person not in {each.person for each in holds[name].releases}:
            found.breach(f"{person}'s release of {name} is gone from the ledger")
    for hold in holds.values():
        _check_said(site, hold, told.get((hold.id, "")), f"the hold {hold.id}", found)
        for each in hold.releases:
            _check_said(site, each, told.get((hold.id, each.person)), f"{each.person}'s release of {hold.id}", found)
        ended = any(data.get("released") for (name, _), data in told.items() if name == hold.id)
        if hold.released_at is not None and not ended and all(each.noted for each in hold.releases):
            found.breach(f"{hold.id} is released, but the log does not say so")


def _check_said(site: Site, said: Hold | Release, told: Mapping[str, Any] | None, what: str, found: Verified) -> None:
    expected = {**said.statement(), "signature": said.signature}
    if isinstance(said, Hold):
        expected["pks"] = list(said.scope.pks)
    if told is None:
        if said.noted is None:
            found.notes.append(f"{what} is not in the log yet; the next run writes it there")
        else:
            found.breach(f"{what} is in the ledger, but not in the log")
    elif canonical({name: told.get(name) for name in expected}) != canonical(expected):
        found.breach(f"{what} is not what the log says")
    # Whoever has left the configuration, or spoke before there was a key, cannot be checked: the log vouches for them.
    if said.signature and said.person in site.people.persons:
        doubt = site.people.doubt(said.person, said.statement(), said.signature)
        if doubt:
            found.notes.append(f"{what}: {doubt}")
