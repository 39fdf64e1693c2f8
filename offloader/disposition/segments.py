"""Catalog segments without some of their documents.

A segment is named by its own hash and shared by many documents, so it cannot be edited: what remains is written as a
new segment, and only then the old one is erased. Killed in between, both stand, and the next time takes the old one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offloader.errors import IntegrityError
from offloader.model import DocumentRef
from offloader.moves.catalog import PREFIX
from offloader.ports import Lock, Store

Gone = Callable[[DocumentRef], bool]
#: whether a line, as it is read, says what shall not be said any more
Telling = Callable[[Mapping[str, Any]], bool]


@dataclass(slots=True)
class Rewritten:
    """What became of a store's segments: old ones that are gone, new ones in their places, lines left out.

    `left`: old segments that still stand, and the locks that keep them there.
    """

    removed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    lines: int = 0
    left: list[tuple[str, tuple[Lock, ...]]] = field(default_factory=list)


def without(store: Store, gone: Gone, *, telling: Telling | None = None, bypass: bool = False) -> Rewritten:
    """Rewrite every segment of the store that names one of these documents, and its list of checksums.

    `telling`: leave out only those of their lines. `bypass`: pass by locks that may be passed by. Raises
    IntegrityError naming a segment that is damaged (it is left as it is), and what the store raises.
    """
    return _rewritten(store, (".jsonl", ".states"), lambda line: _names(line, gone, telling), bypass=bypass)


def without_keys(store: Store, keys: Collection[str]) -> Rewritten:
    """Rewrite every segment of the store that describes a version under one of these keys, in the same way."""

    def describes(line: bytes) -> bool:
        return any(version["key"] in keys for version in _value(line)["versions"])

    return _rewritten(store, (".jsonl",), describes, bypass=False)


def _rewritten(store: Store, suffixes: tuple[str, ...], out: Callable[[bytes], bool], *, bypass: bool) -> Rewritten:
    done = Rewritten()
    for key, _ in list(store.list(PREFIX)):
        if key.endswith(suffixes):
            _segment(store, key, out, done, bypass=bypass)
    return done


def names(store: Store, gone: Gone) -> Iterator[str]:
    """Keys of the segments that still name one of these documents."""
    for key, _ in list(store.list(PREFIX)):
        if key.endswith((".jsonl", ".states")) and any(map(gone, map(_ref, _lines(store, key)))):
            yield key


def _segment(store: Store, key: str, out: Callable[[bytes], bool], done: Rewritten, *, bypass: bool) -> None:
    lines = _lines(store, key)
    keep = [line for line in lines if not out(line)]
    if len(keep) == len(lines):
        return
    stem, suffix = key.rsplit(".", 1)
    if keep:
        body = b"".join(line + b"\n" for line in keep)
        name = f"{stem.rsplit('/', 1)[0]}/{hashlib.sha256(body).hexdigest()[:32]}"
        store.put(f"{name}.{suffix}", [body])
        if suffix == "jsonl":
            store.put(f"{name}.sha256", [_sums(keep)])
        done.written.append(f"{name}.{suffix}")
    if suffix == "jsonl":
        _erase(store, f"{stem}.sha256", done, bypass=bypass)
    _erase(store, key, done, bypass=bypass)
    done.lines += len(lines) - len(keep)


def _erase(store: Store, key: str, done: Rewritten, *, bypass: bool) -> None:
    erased = store.erase(key, bypass=bypass)
    if erased.left:
        done.left.append((key, erased.left))
    else:
        done.removed.append(key)


def _lines(store: Store, key: str) -> list[bytes]:
    body = b"".join(store.read(key))
    if hashlib.sha256(body).hexdigest()[:32] != key.rsplit("/", 1)[1].partition(".")[0]:
        raise IntegrityError(
            f"{key} in the store {store.name} is not what was written: its name does not fit its bytes"
        )
    return body.splitlines()


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise IntegrityError("a segment of the catalog has a line that cannot be read") from error


def _ref(line: bytes) -> DocumentRef:
    value = _value(line)
    return DocumentRef(value["source"], value["kind"], value["id"])


def _names(line: bytes, gone: Gone, telling: Telling | None) -> bool:
    """Whether a line is about one of them, also as what one was restored to, and tells what it shall not."""
    value = _value(line)
    refs = [value, value["as"]] if "as" in value else [value]
    about = any(gone(DocumentRef(each["source"], each["kind"], each["id"])) for each in refs)
    return about and (telling is None or any(map(telling, refs)))


def _sums(lines: list[bytes]) -> bytes:
    """The list of checksums that stands beside described documents, as `sha256sum -c` reads it."""
    found = []
    for line in lines:
        for copy in _value(line)["versions"]:
            digest = copy["held"]["sha256"] if copy["held"] else copy["sha256"]
            found.append(f"{digest}  {copy['key']}\n")
    return "".join(found).encode("ascii")
