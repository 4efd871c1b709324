"""A JPEG encoder for grey squares: the smallest valid picture of any width and height, with a comment inside."""

from __future__ import annotations

import struct

BLOCK = 8

DC_LENGTHS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
DC_VALUES = tuple(range(12))
"""The standard Huffman table for brightness steps (ITU T.81, table K.3)."""

AC_LENGTHS = (1, *([0] * 15))
AC_VALUES = (0,)
"""Only one code: end of block. A block has no detail."""

DC_SCALE = 16
"""Quantiser of the first coefficient; a step of 16 is two levels of grey."""

LONGEST_COMMENT = 65000


def jpeg(width: int, height: int, shade: int, comment: str) -> bytes:
    """Return a picture of grey squares, 8 by 8 pixels each.

    Args:
        width: Pixels, 1 to 65535.
        height: Pixels, 1 to 65535.
        shade: Grey of the first square, 0 to 255; the others follow from it.
        comment: Text kept in the file.
    """
    head = b"\xff\xd8" + _segment(0xE0, b"JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00")
    head += _segment(0xFE, comment.encode()[:LONGEST_COMMENT])
    head += _segment(0xDB, b"\0" + bytes([DC_SCALE] * 64))
    head += _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    head += _segment(0xC4, b"\x00" + bytes(DC_LENGTHS) + bytes(DC_VALUES))
    head += _segment(0xC4, b"\x10" + bytes(AC_LENGTHS) + bytes(AC_VALUES))
    head += _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    return head + _scan(width, height, shade) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _codes(lengths: tuple[int, ...], values: tuple[int, ...]) -> dict[int, str]:
    """Return value -> bits of a Huffman table, numbered as ITU T.81, annex C says."""
    found: dict[int, str] = {}
    code, place = 0, 0
    for bits, count in enumerate(lengths, start=1):
        for _ in range(count):
            found[values[place]] = f"{code:0{bits}b}"
            code, place = code + 1, place + 1
        code <<= 1
    return found


def _scan(width: int, height: int, shade: int) -> bytes:
    """Return the coded squares: each as the difference to the one before it."""
    steps, end = _codes(DC_LENGTHS, DC_VALUES), _codes(AC_LENGTHS, AC_VALUES)[0]
    bits: list[str] = []
    before = 0
    for y in range(-(-height // BLOCK)):
        for x in range(-(-width // BLOCK)):
            level = ((shade + 37 * x + 53 * y) % 256 - 128) * BLOCK // DC_SCALE
            size, text = _magnitude(level - before)
            bits.append(steps[size] + text + end)
            before = level
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    return int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")


def _magnitude(difference: int) -> tuple[int, str]:
    """Return the size class of a difference and the bits that tell which one of the class it is."""
    if difference == 0:
        return 0, ""
    size = abs(difference).bit_length()
    value = difference if difference > 0 else difference + (1 << size) - 1
    return size, f"{value:0{size}b}"
