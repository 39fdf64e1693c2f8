"""Real documents for emulated CRMs: PDF, DOCX, XLSX, pictures, e-mails, archives and text, in seven languages.

About a hundred base documents are rendered once, each when first asked for, and made unique per index by a
short reference inside. The same seed, index, kind and language give the same bytes on every machine with the
same library versions.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from offloader_connectors.emulation.render import RENDERERS
from offloader_connectors.emulation.texts import AWKWARD_NAMES, LANGUAGES, file_name
from offloader_connectors.emulation.vary import VARIATIONS

__all__ = [
    "AWKWARD_NAMES",
    "EMPTY_INDEX",
    "KINDS",
    "MIME",
    "Corpus",
    "MadeDocument",
    "corpus",
    "dice_of",
    "is_large",
    "is_tiny",
    "tiny_indices",
]

#: The body with this index is a text file of no bytes.
EMPTY_INDEX = 7
#: One body in so many is large (1-8 MB); another one in so many is a text of one line.
_LARGE_EVERY, _LARGE_AT = 250, 60
_TINY_EVERY, _TINY_AT = 97, 13

MIME: Mapping[str, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "eml": "message/rfc822",
    "zip": "application/zip",
    "txt": "text/plain",
    "csv": "text/csv",
    "xml": "application/xml",
}
KINDS: Sequence[str] = tuple(MIME)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How common a kind is, how many base documents it has per language, and their sizes (log-normal, bytes)."""

    weight: int
    bases: int
    median: int
    sigma: float
    #: pictures have no language
    neutral: bool = False
    #: sizes in bytes of the rare large ones
    large: Sequence[int] = ()


_RECIPES: Mapping[str, _Recipe] = {
    "pdf": _Recipe(30, 5, 68_000, 0.9, large=(1_300_000, 3_000_000)),
    "docx": _Recipe(15, 2, 60_000, 0.8),
    "xlsx": _Recipe(9, 2, 30_000, 0.7),
    "jpeg": _Recipe(15, 12, 110_000, 0.8, neutral=True, large=(1_500_000, 4_000_000)),
    "png": _Recipe(6, 6, 90_000, 0.8, neutral=True, large=(2_000_000,)),
    "tiff": _Recipe(3, 4, 110_000, 0.8, neutral=True, large=(5_000_000, 8_000_000)),
    "eml": _Recipe(9, 2, 50_000, 0.9),
    "zip": _Recipe(3, 1, 150_000, 0.5, large=(2_500_000,)),
    "txt": _Recipe(5, 1, 2_500, 0.5),
    "csv": _Recipe(3, 1, 9_000, 0.5),
    "xml": _Recipe(2, 1, 6_000, 0.5),
}
_BOUNDS = tuple(itertools.accumulate(_RECIPES[kind].weight for kind in KINDS))
_LARGE_KINDS = tuple(kind for kind in KINDS if _RECIPES[kind].large)


def is_large(index: int) -> bool:
    """Whether the body with this index is one of the rare large ones, for kinds that have such."""
    return index % _LARGE_EVERY == _LARGE_AT


def is_tiny(index: int) -> bool:
    """Whether the body with this index is a text of one line, unless another kind is asked for."""
    return index % _TINY_EVERY == _TINY_AT


def tiny_indices() -> Iterator[int]:
    """The indices of all texts of one line."""
    return itertools.count(_TINY_AT, _TINY_EVERY)


def dice_of(*parts: str | int) -> random.Random:
    """Dice that always fall the same way for the same parts."""
    return random.Random("/".join(str(part) for part in parts))  # noqa: S311  made-up data, nothing secret


@dataclass(frozen=True, slots=True)
class MadeDocument:
    """A whole document: an ordinary file name, its MIME type, its bytes."""

    name: str
    mime: str
    data: bytes


class Corpus:
    """The documents of one seed. Thread-safe; keeps only the rendered base documents in memory (about 30 MB)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._bases: dict[tuple[str, str, int], bytes] = {}
        self._lock = threading.Lock()

    def kind(self, index: int) -> str:
        """The kind of the document with this index, unless another one is asked for."""
        if index == EMPTY_INDEX or is_tiny(index):
            return "txt"
        dice = dice_of(self.seed, "kind", index)
        if is_large(index):
            return dice.choice(_LARGE_KINDS)
        return KINDS[bisect.bisect_right(_BOUNDS, dice.randrange(_BOUNDS[-1]))]

    def make(self, index: int, kind: str | None = None, language: str | None = None) -> MadeDocument:
        """Make the document with this index. Different indices have different bytes.

        `kind` is one of KINDS, `language` one of "de", "en", "fr", "nl", "pt", "ru", "zh"; without them the
        index decides. Raises KeyError for another kind or language.
        """
        kind = kind or self.kind(index)
        dice = dice_of(self.seed, "body", index)
        drawn = dice.choice(tuple(LANGUAGES))
        return MadeDocument(
            name=file_name(dice, kind, language or drawn),
            mime=MIME[kind],
            data=self._data(dice, index, kind, language or drawn),
        )

    def _data(self, dice: random.Random, index: int, kind: str, language: str) -> bytes:
        if index == EMPTY_INDEX and kind == "txt":
            return b""
        reference = f"{self.seed & 0xFFFFFFFF:x}-{index:x}"
        if is_tiny(index) and kind == "txt":
            return reference.encode()
        recipe = _RECIPES[kind]
        large = is_large(index) and bool(recipe.large)
        number = recipe.bases + dice.randrange(len(recipe.large)) if large else dice.randrange(recipe.bases)
        neutral = recipe.neutral or large
        return VARIATIONS[kind](self._base(kind, "en" if neutral else language, number), reference)

    def _base(self, kind: str, language: str, number: int) -> bytes:
        key = (kind, language, number)
        with self._lock:
            if key not in self._bases:
                dice = dice_of(self.seed, *key)
                self._bases[key] = RENDERERS[kind](dice, language, _size(_RECIPES[kind], language, number))
            return self._bases[key]


def _size(recipe: _Recipe, language: str, number: int) -> int:
    """The size of a base document in bytes: a quantile of the recipe's distribution, other ones in each language."""
    if number >= recipe.bases:
        return recipe.large[number - recipe.bases]
    steps = len(LANGUAGES)
    shift = 3 if recipe.neutral else tuple(LANGUAGES).index(language)
    quantile = (number + (shift + 0.5) / steps) / recipe.bases
    return int(recipe.median * math.exp(recipe.sigma * NormalDist().inv_cdf(quantile)))


def corpus(seed: int) -> Corpus:
    """The documents of a seed."""
    return Corpus(seed)
