"""Makes hostile text harmless to look at: what cannot be seen, or changes how the rest is seen, is spelled out."""

from __future__ import annotations

import re

#: control characters, marks and overrides of writing direction, line separators, byte-order marks, halves of pairs
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_BREAKS = re.compile("[\t\n\r]")
#: a spreadsheet takes a cell that begins so for a formula; the wide forms count in East Asian versions
_FORMULA = tuple("=+-@\t\r＝＋－＠")


def _spelled(match: re.Match[str]) -> str:
    return f"⟦U+{ord(match[0]):04X}⟧"


def shown(text: str) -> str:
    """The text with invisible and direction-changing characters as ⟦U+202E⟧; line breaks and tabs stay."""
    return text if text.isprintable() else _UNSEEN.sub(_spelled, text)


def line(text: str) -> str:
    """The same on one line: tabs and line breaks are spelled out as well."""
    return text if text.isprintable() else _BREAKS.sub(_spelled, _UNSEEN.sub(_spelled, text))


def cell(text: str) -> str:
    """A line that no spreadsheet takes for a formula: an apostrophe stands before what would begin one."""
    return f"'{line(text)}" if text.startswith(_FORMULA) else line(text)
