from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from offloader.model import Assurance, Document, DocumentRef, LocationProof, Parent, Version
from offloader.ports import Target
from offloader_policies.language.layers import load
from offloader_policies.language.policy import FilePolicy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: a policy that moves everything
ALL = "policy: test\nclauses:\n  - {id: all, select: {everything: true}, then: move}\n"
Write = Callable[..., Path]
Open = Callable[..., FilePolicy]


def document(
    *parents: tuple[str, Mapping[str, str]],
    source: str = "crm",
    kind: str = "File",
    name: str = "a.pdf",
    size: int | None = 1000,
    mime: str | None = "application/pdf",
    age: timedelta | None = timedelta(days=400),
    owner: str | None = "U1",
) -> Document:
    made = NOW - age if age is not None else None
    given = parents or (("Account", {"country": "DE"}),)
    return Document(
        ref=DocumentRef(source, kind, "D1"),
        title=name,
        versions=(Version(id="V1", number=1, name=name, size=size, mime=mime),),
        parents=tuple(
            Parent(type=each, id=str(number), signals=signals) for number, (each, signals) in enumerate(given)
        ),
        owner=owner,
        created=made,
        modified=made,
    )


def target(name: str, *countries: str, assurance: Assurance = Assurance.PROVEN) -> Target:
    proof = LocationProof(
        store=name,
        assurance=assurance,
        countries=frozenset(countries),
        taken=NOW,
        expires=NOW + timedelta(days=1),
        summary="",
    )
    return Target(name, proof)


STORES = (target("de", "DE"), target("nl", "NL"), target("us", "US"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write policy files by name (`below_yaml` is below.yaml); the path of policy.yaml."""

    def put(text: str, **files: str) -> Path:
        for name, inner in {"policy_yaml": text, **files}.items():
            path = tmp_path / name.replace("_yaml", ".yaml").replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(inner, encoding="utf-8")
        return tmp_path / "policy.yaml"

    return put


@pytest.fixture
def policy(write: Write) -> Open:
    """Open a policy of these files."""

    def opened(text: str, **files: str) -> FilePolicy:
        return FilePolicy(load(write(text, **files)))

    return opened
