"""The Prefer header ("Compose HTTP requests and handle errors", Dataverse Web API guide)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_ITEM = re.compile(r'\s*([A-Za-z0-9.\-]+)\s*(?:=\s*(?:"([^"]*)"|([^,;\s]*)))?\s*(?:[,;]|$)')
_PREFIX = "odata."


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefer:
    """What a client would like of the answer."""

    #: the changed row in the answer of a write
    representation: bool = False
    #: rows a page
    max_page_size: int | None = None
    #: patterns of annotations, separated by commas, as they came
    annotations: str | None = None
    track_changes: bool = False
    continue_on_error: bool = False

    def wants(self, annotation: str) -> bool:
        """Whether an annotation (`OData.Community.Display.V1.FormattedValue`) was asked for."""
        wanted = False
        for pattern in (self.annotations or "").split(","):
            name = pattern.strip()
            exclude, name = name.startswith("-"), name.removeprefix("-")
            if name in {"*", annotation} or (name.endswith("*") and annotation.startswith(name[:-1])):
                if exclude:
                    return False
                wanted = True
        return wanted

    @classmethod
    def parse(cls, header: str | None) -> Prefer:
        """Unknown preferences are ignored, as RFC 7240 wants it."""
        return _parse(header or "")


def _items(header: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(header):
        match = _ITEM.match(header, position)
        if match is None:
            return
        yield match[1].lower().removeprefix(_PREFIX), match[2] if match[2] is not None else match[3] or ""
        position = match.end()


@lru_cache(maxsize=256)
def _parse(header: str) -> Prefer:
    found = dict(reversed(list(_items(header))))
    size = found.get("maxpagesize", "")
    return Prefer(
        representation=found.get("return", "").lower() == "representation",
        max_page_size=int(size) if size.isascii() and size.isdigit() else None,
        annotations=found.get("include-annotations"),
        track_changes="track-changes" in found and found["track-changes"].lower() != "false",
        continue_on_error="continue-on-error" in found and found["continue-on-error"].lower() != "false",
    )
