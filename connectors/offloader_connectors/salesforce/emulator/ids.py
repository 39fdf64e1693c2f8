"""Record ids: 15 characters that differ by case, and the 18-character form with a checksum suffix."""

from __future__ import annotations

from functools import lru_cache

#: in ASCII order, so that later ids sort after earlier ones
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@lru_cache(maxsize=65536)
def long_id(short: str) -> str:
    """The 18-character form of a 15-character id ("What is the 15-character and 18-character ID", Salesforce Help)."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, char in enumerate(short[start : start + 5]) if "A" <= char <= "Z")
        suffix += _SUFFIX[bits]
    return short + suffix


def normal(text: str) -> str | None:
    """The 18-character form of an id of either length; None for anything that is not an id."""
    if not text.isascii() or not text.isalnum():
        return None
    if len(text) == 15:
        return long_id(text)
    if len(text) == 18:
        fixed = long_id(text[:15])
        return fixed if fixed[15:] == text[15:].upper() else None
    return None


def new_id(prefix: str, number: int) -> str:
    """The 18-character id of the number-th record of an object with this key prefix."""
    tail = ""
    while number:
        number, digit = divmod(number, 62)
        tail = _DIGITS[digit] + tail
    return long_id(f"{prefix}Wz0{tail.rjust(9, '0')}")


def number_of(record_id: str) -> int:
    """The inverse of `new_id`."""
    number = 0
    for char in record_id[6:15]:
        number = number * 62 + _DIGITS.index(char)
    return number
