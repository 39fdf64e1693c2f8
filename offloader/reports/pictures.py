"""Charts as SVG: no script, no font, nothing fetched. Each has a title and a description, and a table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from markupsafe import Markup

#: by verdict: told apart by lightness as well, and always labelled in the table beside
COLOURS: Final[Mapping[str, str]] = {"MOVE": "#1d6b66", "KEEP": "#8b98a5", "BLOCKED": "#a23b2a", "REVIEW": "#c08a1e"}
_WIDTH: Final = 1000.0


_BAR: Final = Markup('<rect class="v-{}" x="{:.2f}" width="{:.2f}" height="28" fill="{}"><title>{}: {}</title></rect>')
_AXIS: Final = Markup('<line x1="8" y1="12" x2="992" y2="12" stroke="#8b98a5" stroke-width="2"/>')
_POINT: Final = Markup(
    '<circle cx="{0:.1f}" cy="12" r="6" fill="#1d6b66"/>'
    '<line x1="{0:.1f}" y1="12" x2="{0:.1f}" y2="{1}" stroke="#8b98a5"/>'
    '<text x="{2:.1f}" y="{3}" text-anchor="{4}" font-size="17" fill="#1c2126">{5}: {6}</text>'
)
_SVG: Final = Markup(
    '<svg role="img" viewBox="{box}" class="{kind}" preserveAspectRatio="{aspect}" aria-labelledby="{id}-t {id}-d">'
    '<title id="{id}-t">{title}</title><desc id="{id}-d">{told}</desc>{drawn}</svg>'
)


def verdict_bar(id: str, title: str, parts: Sequence[tuple[str, str, int]]) -> Markup:
    """One bar divided by (verdict, label, documents)."""
    whole = sum(count for _, _, count in parts)
    drawn, left = [], 0.0
    for verdict, label, count in parts:
        if count:
            width = _WIDTH * count / whole
            drawn.append(_BAR.format(verdict.lower(), left, max(width - 3, 1.5), COLOURS[verdict], label, count))
            left += width
    told = "; ".join(f"{label}: {count}" for _, label, count in parts)
    box, inside = "0 0 1000 28", Markup("").join(drawn)
    return _SVG.format(id=id, title=title, told=told, box=box, kind="bar", aspect="none", drawn=inside)


def timeline(id: str, title: str, points: Sequence[tuple[str, str, date]]) -> Markup:
    """Days on one line: (label, the day in words, the day). Labels near the middle stand higher: none is crossed."""
    ordered = sorted(points, key=lambda point: point[2])
    first, last = ordered[0][2], ordered[-1][2]
    span = max((last - first).days, 1)
    placed = [(8 + 984 * (at - first).days / span, label, day) for label, day, at in ordered]
    drawn = [_AXIS]
    for row, (x, label, day) in enumerate(sorted(placed, key=lambda one: abs(one[0] - _WIDTH / 2))):
        y = 40 + 26 * row
        aside, anchor = (-8, "end") if x > _WIDTH / 2 else (8, "start")
        drawn.append(_POINT.format(x, y - 2, x + aside, y, anchor, label, day))
    told = "; ".join(f"{label}: {day}" for label, day, _ in ordered)
    box, inside = f"0 0 1000 {26 * len(ordered) + 24}", Markup("").join(drawn)
    return _SVG.format(id=id, title=title, told=told, box=box, kind="timeline", aspect="xMidYMid", drawn=inside)
