"""Filling an emulated CRM with a made-up world, and telling what is expected of every document: whatever the vendor."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from offloader_connectors.emulation.world import OUTSIDER, Document, World

#: In the org's directory, one JSON object a line: `kind` and `id` as a source names the document, `country` (of the
#: store where its bytes belong; null: they may not leave the CRM) and `must_stay`.
EXPECTATIONS = "expected.jsonl"
_BATCH = 200
_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")


def fill(
    directory: Path,
    world: World,
    transaction: Callable[[], AbstractContextManager[object]],
    load: Callable[[Document], tuple[str, str]],
) -> None:
    """Load every document, some in each transaction, and write down what is expected of it.

    `load` puts one document into the org and returns its kind and id. Bodies are made one at a time.
    """
    with (directory / EXPECTATIONS).open("w", encoding="utf-8") as file:
        waiting = iter(world.documents)
        while batch := list(itertools.islice(waiting, _BATCH)):
            with transaction():
                named = [load(document) for document in batch]
            for document, (kind, key) in zip(batch, named, strict=True):
                country, stays = world.expected_country(document), world.must_stay(document)
                file.write(json.dumps({"id": key, "kind": kind, "country": country, "must_stay": stays}) + "\n")


def testimony(directory: Path, held: Iterable[tuple[str, str, Sequence[str]]], *, reader: str) -> Mapping[str, Any]:
    """The witness's answer from every live document's kind, id and SHA-256 by version, oldest first."""
    countries = _countries(directory)
    documents = [
        {"kind": kind, "id": key, "sha256": list(digests), "country": countries.get((kind, key))}
        for kind, key, digests in held
    ]
    return {"documents": documents, "reader": reader, "stranger": OUTSIDER}


def addresses(text: str) -> list[str]:
    """The web addresses in a text."""
    return _ADDRESS.findall(text)


def _countries(directory: Path) -> dict[tuple[str, str], str | None]:
    path = directory / EXPECTATIONS
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {(line["kind"], line["id"]): None if line["must_stay"] else line["country"] for line in lines}
