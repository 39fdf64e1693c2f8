"""Legal holds in the stores: a ledger that is lost does not take them along.

One object for each hold and for each person's agreement to its end, named by its own SHA-256: written once, never
changed, so that nobody un-writes a hold by editing what was said later. An object has what is needed to hold again
(the matter, the scope, the days, who) and neither a reason nor a document's name; only stores whose place is proven,
and that are not another CRM's, get one.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from offloader.audit import canonical
from offloader.errors import Gone, IntegrityError, OffloaderError
from offloader.holds import Hold, Release, Scope
from offloader.ledger import Ledger
from offloader.ledger.holding import PEOPLE
from offloader.moves.identity import check_owner
from offloader.moves.restore import find
from offloader.moves.site import Site
from offloader.ports import Store

FORMAT = "offloader-hold-1"
PREFIX = "holds/"
#: key in the ledger of what each store has: JSON, from names of stores to objects' keys
_KEPT = "holds_kept"


def pending(site: Site) -> dict[str, list[str]]:
    """Which objects are not in which stores yet, as the ledger knows it; only stores that lack some."""
    kept = _kept(site.ledger)
    wanted = list(_objects(site.ledger.holds()))
    missing = {name: [key for key in wanted if key not in kept.get(name, ())] for name in sorted(site.stores)}
    return {name: keys for name, keys in missing.items() if keys}


def keep(site: Site) -> list[str]:
    """Put what is missing into every store, and note what each took; gives a sentence for each that takes nothing now,
    and for each from which somebody has removed what it took.

    Where the ledger may not be written, the next time asks once more, which changes nothing in a store.
    """
    lost = _look(site)
    notes = [
        f"{len(keys)} statements about legal holds were removed from the store {name}; somebody must say why"
        for name, keys in lost.items()
    ]
    if site.ledger.writable:
        _forget(site.ledger, lost)
    taken, untold = tell(site)
    if site.ledger.writable:
        note(site.ledger, taken)
    return notes + untold


def _look(site: Site) -> dict[str, list[str]]:
    """What stores took and do not have any more. One that does not answer is asked the next time."""
    wanted, kept = set(_objects(site.ledger.holds())), _kept(site.ledger)
    lost: dict[str, list[str]] = {}
    for name, store in site.stores.items() if wanted else ():
        try:
            missing = wanted.intersection(kept.get(name, ())) - {key for key, _ in store.list(PREFIX)}
        except OffloaderError:
            continue
        if missing:
            lost[name] = sorted(missing)
    return lost


def _forget(ledger: Ledger, lost: Mapping[str, Sequence[str]]) -> None:
    for name, keys in lost.items():
        kept = _kept(ledger)
        ledger.set_meta(_KEPT, canonical(kept | {name: sorted(set(kept[name]).difference(keys))}))
        ledger.record_event("unmirrored", data={"store": name, "objects": list(keys)})


def tell(site: Site) -> tuple[dict[str, list[str]], list[str]]:
    """Put what is missing into every store: what each took, and a sentence for each that takes nothing now."""
    bodies = _objects(site.ledger.holds())
    taken: dict[str, list[str]] = {}
    notes = []
    for name, keys in pending(site).items():
        why = _put(site, name, {key: bodies[key] for key in keys})
        if why:
            notes.append(f"{len(keys)} statements about legal holds are not in the store {name} yet: {why}")
        else:
            taken[name] = keys
    return taken, notes


def note(ledger: Ledger, taken: Mapping[str, Sequence[str]]) -> None:
    """Write down which stores took which objects."""
    for name, keys in taken.items():
        kept = _kept(ledger)
        ledger.set_meta(_KEPT, canonical(kept | {name: sorted({*kept.get(name, ()), *keys})}))
        ledger.record_event("mirrored", data={"store": name, "objects": list(keys)})


def _kept(ledger: Ledger) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(ledger.meta(_KEPT) or "{}")
    return found


def _put(site: Site, name: str, bodies: Mapping[str, bytes]) -> str:
    """Why a store does not have all of these now; empty if it does."""
    store = site.stores[name]
    try:
        proof = store.prove()
        if not proof.usable_at(site.context.now()):
            return f"its place is not proven ({proof.summary})"
        check_owner(site, name, site.sources)
        for key, body in bodies.items():
            store.put(key, [body])
    except OffloaderError as error:
        return str(error)
    return ""


def _objects(holds: Iterable[Hold]) -> dict[str, bytes]:
    """Key and body of everything that was said."""
    bodies = [body for hold in holds for body in (_body(hold), *map(_body, hold.releases))]
    return {_key(body): body for body in bodies}


def _body(said: Hold | Release) -> bytes:
    return canonical({"format": FORMAT, "statement": said.statement(), "signature": said.signature}).encode("ascii")


def _key(body: bytes) -> str:
    return f"{PREFIX}{hashlib.sha256(body).hexdigest()[:32]}.json"


@dataclass(frozen=True, slots=True)
class _Said:
    """One object as the stores have it, and which of them do."""

    said: Hold | Release
    stores: frozenset[str]


def gather(site: Site) -> tuple[list[Hold], list[str]]:
    """Read every store's objects back into the ledger; gives the holds, and what was wrong with objects, in words.

    A hold stands unless two people's agreements to its end are in every store that has it, are good, and are of
    different people. Where stores say different things of one hold, all that they say is held.
    """
    problems: list[str] = []
    found = [_Said(said, frozenset(stores)) for said, stores in _everything(site, problems)]
    holds: list[Hold] = []
    for name in sorted({_hold_of(each.said) for each in found}):
        mine = [each for each in found if _hold_of(each.said) == name]
        holds += _one(site, name, mine, problems)
    site.ledger.put_back_holds(holds)
    site.ledger.note_holds()
    there: defaultdict[str, list[str]] = defaultdict(list)
    for each in found:
        for store in each.stores:
            there[store].append(_key(_body(each.said)))
    note(site.ledger, there)
    return site.ledger.holds(), problems


def _hold_of(said: Hold | Release) -> str:
    return said.id if isinstance(said, Hold) else said.hold


def _one(site: Site, name: str, mine: Sequence[_Said], problems: list[str]) -> Iterator[Hold]:
    """The hold of this id with the agreements that count; of several that claim to be it, each one."""
    begun = [each for each in mine if isinstance(each.said, Hold)]
    if not begun:
        problems.append(f"somebody agreed to the end of {name}, and no store has the hold itself")
        return
    having = frozenset[str]().union(*(each.stores for each in begun))
    agreed: list[Release] = []
    began = min(each.said.at for each in begun)
    for each in sorted(mine, key=lambda one: one.said.at):
        if isinstance(each.said, Release) and _counts(site, each, having, began, agreed, problems):
            agreed.append(each.said)
    begun.sort(key=lambda each: (bool(_doubt(site, each.said)), _body(each.said)))
    for number, each in enumerate(begun):
        assert isinstance(each.said, Hold)
        hold = replace(each.said, scope=_numbered(site, each.said))
        if number:
            problems.append(f"stores say different things of {name}: what else is said stands as {name}-{number + 1}")
            yield replace(hold, id=f"{name}-{number + 1}", signature="")
        else:
            at = agreed[-1].at if len(agreed) >= PEOPLE and len(begun) == 1 else None
            yield replace(hold, releases=tuple(agreed), released_at=at)


def _counts(
    site: Site, each: _Said, having: frozenset[str], began: str, before: Sequence[Release], problems: list[str]
) -> bool:
    """Whether one person's agreement counts."""
    said = each.said
    assert isinstance(said, Release)
    what = f"{said.person}'s agreement to the end of {said.hold}"
    if lacking := sorted(having - each.stores):
        problems.append(f"{what} is not in the store {lacking[0]}, which has the hold: it does not count")
        return False
    if said.at < began:
        # ids are given anew in a ledger that was lost: this one was about an earlier hold
        problems.append(f"{what} is older than the hold: it does not count")
        return False
    if doubt := _doubt(site, said):
        problems.append(f"{what} does not count: {doubt}")
        return False
    return not any(site.people.same(said.person, one.person) or said.proof == one.proof for one in before)


def _doubt(site: Site, said: Hold | Release) -> str:
    return site.people.doubt(said.person, said.statement(), said.signature)


def _numbered(site: Site, hold: Hold) -> Scope:
    """The scope with the numbers that this ledger has for the documents that it names."""
    numbers = []
    for name in hold.scope.documents:
        try:
            numbers.append(find(site, name).pk)
        except Gone:
            continue
    return replace(hold.scope, pks=tuple(numbers))


def _everything(site: Site, problems: list[str]) -> list[tuple[Hold | Release, set[str]]]:
    stores: defaultdict[bytes, set[str]] = defaultdict(set)
    said: dict[bytes, Hold | Release] = {}
    for name, store in site.stores.items():
        for key, _ in store.list(PREFIX):
            try:
                body, value = _read(store, key)
            except IntegrityError as error:
                problems.append(str(error))
                continue
            stores[body].add(name)
            said[body] = value
    return [(said[body], stores[body]) for body in sorted(said)]


def _read(store: Store, key: str) -> tuple[bytes, Hold | Release]:
    body = b"".join(store.read(key))
    if key != _key(body):
        raise IntegrityError(
            f"{key} in the store {store.name} is not what was written: find out which legal hold it was about"
        )
    try:
        value = json.loads(body)
        if value["format"] != FORMAT:
            raise ValueError("the format is not known")
        statement, signature = value["statement"], str(value["signature"])
        if statement["type"] == "hold":
            return body, Hold.from_statement(statement, signature)
        return body, Release.from_statement(statement, signature)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{key} in the store {store.name} cannot be read as a legal hold") from error
