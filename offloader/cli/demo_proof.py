"""The demo's proof: what the CRM had before, against what links, stores and CRM show after.

The witness is the emulator itself: it knows the SHA-256 of every body it holds, and where each body belongs, without
asking the connector, the policy or the ledger.
"""

from __future__ import annotations

import hashlib
import http.client
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from offloader.cli.demo_sandbox import Sandbox
from offloader.config import Config
from offloader.ledger import Entry
from offloader.model import State, Strategy
from offloader.moves.pages import entries_in
from offloader.moves.site import Site

READERS = 8


@dataclass(frozen=True, slots=True)
class Held:
    """What the CRM holds of one document: SHA-256 by version (oldest first), and the country of the store where its
    bytes belong (None: they may not leave)."""

    sha256: tuple[str, ...]
    country: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """The CRM's own account of its documents, by (kind, id)."""

    documents: Mapping[tuple[str, str], Held]
    #: a user who may read every record, and one who may read none
    reader: str
    stranger: str


@dataclass(slots=True)
class Proof:
    """What held, and what did not. Every problem names its document."""

    links_opened: int = 0
    originals_gone: int = 0
    untouched: int = 0
    by_store: Counter[str] = field(default_factory=Counter)
    originals_left: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)
    #: the CRM knows a permitted country for it, and it was not moved
    left_behind: list[str] = field(default_factory=list)
    opened_by_stranger: list[str] = field(default_factory=list)
    wrong_bytes: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [
            *(f"{ref}: the original is still in the CRM" for ref in self.originals_left),
            *(f"{ref}: lies outside its permitted countries" for ref in self.abroad),
            *(f"{ref}: had to stay and changed" for ref in self.disturbed),
            *(f"{ref}: could have moved, and stayed" for ref in self.left_behind),
            *(f"{ref}: opened for a user who may not read it" for ref in self.opened_by_stranger),
            *(f"{ref}: the link does not give the bytes that the CRM had" for ref in self.wrong_bytes),
        ]

    @property
    def holds(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "by_store": dict(self.by_store), "holds": self.holds}


def witness(sandbox: Sandbox) -> Witness:
    """Ask the emulated CRM what it holds now."""
    answer = sandbox.call("witness")
    documents = {
        (item["kind"], item["id"]): Held(tuple(item["sha256"]), item["country"]) for item in answer["documents"]
    }
    return Witness(documents, answer["reader"], answer["stranger"])


def prove(site: Site, config: Config, sandboxes: Mapping[str, Sandbox], before: Mapping[str, Witness]) -> Proof:
    """Open every link, look for every original, and compare every document that stayed. By source."""
    from offloader.cli.serving import served  # noqa: PLC0415 - brings in the gateway, after the moves

    proof = Proof()
    after = {name: witness(sandbox) for name, sandbox in sandboxes.items()}
    moved = [entry for entry in entries_in(site, {State.DONE}) if entry.link is not None]
    countries = {name: store.prove().countries for name, store in site.stores.items()}
    with served(site, config) as gateway, ThreadPoolExecutor(READERS) as pool:
        opener = _Opener(gateway.host, gateway.port, gateway.login_headers)
        opened = pool.map(lambda entry: _opens(opener, entry, before[entry.document.ref.source]), moved)
        for entry, good in zip(moved, opened, strict=True):
            source = entry.document.ref.source
            _judge(entry, before[source], after[source], countries, proof)
            if good:
                proof.links_opened += 1
            else:
                proof.wrong_bytes.append(str(entry.document.ref))
        proof.opened_by_stranger = [
            str(entry.document.ref)
            for name in before
            for entry in [each for each in moved if each.document.ref.source == name][:50]
            if not _closed(opener, entry, before[name].stranger)
        ]
    gone = {(entry.document.ref.source, entry.document.ref.kind, entry.document.ref.id) for entry in moved}
    for name, held_before in before.items():
        for key, held in held_before.documents.items():
            if (name, *key) not in gone:
                proof.untouched += after[name].documents.get(key) == held
                if after[name].documents.get(key) != held:
                    proof.disturbed.append("/".join((name, *key)))
                elif held.country is not None:
                    proof.left_behind.append("/".join((name, *key)))
    return proof


def _judge(
    entry: Entry, before: Witness, after: Witness, countries: Mapping[str, frozenset[str]], proof: Proof
) -> None:
    ref = entry.document.ref
    had = before.documents.get((ref.kind, ref.id))
    has = after.documents.get((ref.kind, ref.id))
    stub = entry.document.strategy is not Strategy.NEW_LINK_THEN_DELETE
    if had is None or (has is not None and (not stub or set(has.sha256) & set(had.sha256))):
        proof.originals_left.append(str(ref))
    else:
        proof.originals_gone += 1
    for store in {copy.store for version in entry.versions for copy in version.copies}:
        proof.by_store[store] += 1
        if had is None or countries[store] != {had.country}:
            proof.abroad.append(str(ref))


class _Opener:
    """Opens links over HTTP as a user that the reverse proxy vouches for; one connection a thread."""

    def __init__(self, host: str, port: int, login_headers: Mapping[str, str]) -> None:
        self._address = (host, port)
        self._headers = login_headers

    def open(self, path: str, user: str) -> tuple[int, Mapping[str, str], str]:
        """Status, headers and SHA-256 of the body."""
        connection = http.client.HTTPConnection(*self._address, timeout=120)
        try:
            connection.request("GET", path, headers={**self._headers, "X-Forwarded-User": user})
            response = connection.getresponse()
            digest = hashlib.sha256()
            for chunk in _chunks(response):
                digest.update(chunk)
            return response.status, dict(response.getheaders()), digest.hexdigest()
        finally:
            connection.close()


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(1 << 18):
        yield chunk


def _opens(opener: _Opener, entry: Entry, before: Witness) -> bool:
    """Whether the link gives, version by version, exactly what the CRM had."""
    held = before.documents.get((entry.document.ref.kind, entry.document.ref.id))
    if held is None or entry.link is None or len(held.sha256) != len(entry.document.versions):
        return False
    path = f"/d/{entry.link.id}"
    status, headers, sha256 = opener.open(path, before.reader)
    if (status, sha256) != (200, held.sha256[-1]) or not headers.get("content-disposition", "").startswith(
        "attachment"
    ):
        return False
    older: Sequence[str] = held.sha256[:-1]
    return all(opener.open(f"{path}/v/{n}", before.reader)[::2] == (200, digest) for n, digest in enumerate(older, 1))


def _closed(opener: _Opener, entry: Entry, stranger: str) -> bool:
    """Whether a user without access gets exactly what a made-up link gets."""
    assert entry.link is not None
    real = opener.open(f"/d/{entry.link.id}", stranger)
    made_up = opener.open(f"/d/{'a' * len(entry.link.id)}", stranger)
    quiet = {"date"}
    same = {k: v for k, v in real[1].items() if k not in quiet} == {
        k: v for k, v in made_up[1].items() if k not in quiet
    }
    return real[0] == made_up[0] == 404 and same and real[2] == made_up[2]
