"""A set of 64-bit keys that costs 8 bytes and a little for each, so that millions of values fit a small pod."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PARTS = 256
_SHIFT = 56
_SMALLEST = 1 << 16
_LARGEST = 1 << 27
_SLOTS_PER_KEY = 8
"""Slots of the filter per key: one of eight keys that are not in the set passes it and is searched in vain."""


class Keys:
    """A set that is filled first, then sealed, then asked.

    Two values with the same key are one in 2**64 / size: for ten million values and a billion words of text there is
    one chance in two thousand that anything is mistaken at all.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]
        self._filter = bytearray(0)
        self._mask = 0

    def add(self, key: int) -> None:
        """Add a key; only before `seal`."""
        self._parts[(key >> _SHIFT) & 0xFF].append(key)

    def seal(self, *, once: bool = False) -> None:
        """Sort, drop duplicates and make the filter.

        Args:
            once: Keep only keys that were added exactly once.
        """
        for number, part in enumerate(self._parts):
            self._parts[number] = _once(part) if once else array("q", sorted(set(part)))
        slots = _SMALLEST
        while slots < min(_LARGEST, len(self) * _SLOTS_PER_KEY):
            slots *= 2
        self._filter, self._mask = bytearray(slots), slots - 1
        for part in self._parts:
            for key in part:
                self._filter[key & self._mask] = 1

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[int]:
        for part in self._parts:
            yield from part

    def __contains__(self, key: int) -> bool:
        if not self._filter[key & self._mask]:
            return False
        part = self._parts[(key >> _SHIFT) & 0xFF]
        place = bisect_left(part, key)
        return place < len(part) and part[place] == key

    def among(self, keys: Iterable[int]) -> set[int]:
        """Return those of the keys that are in the set."""
        table, mask = self._filter, self._mask
        return {key for key in [key for key in keys if table[key & mask]] if key in self}


def sealed() -> Keys:
    """Return a set that nothing is in, ready to be asked."""
    keys = Keys()
    keys.seal()
    return keys


def _once(part: array[int]) -> array[int]:
    ordered = sorted(part)
    kept = array("q")
    for place, key in enumerate(ordered):
        if (place and ordered[place - 1] == key) or (place + 1 < len(ordered) and ordered[place + 1] == key):
            continue
        kept.append(key)
    return kept
