"""Two-coloured pictures that say PLACEHOLDER, in four formats, byte for byte the same for the same size."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

LIGHT, DARK = 230, 90
"""Grey levels of the ground and of the letters."""
_GLYPHS = {
    "P": ("####.", "#...#", "#...#", "####.", "#....", "#....", "#...."),
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "A": (".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"),
    "C": (".###.", "#...#", "#....", "#....", "#....", "#...#", ".###."),
    "E": ("#####", "#....", "#....", "####.", "#....", "#....", "#####"),
    "H": ("#...#", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"),
    "O": (".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."),
    "D": ("####.", "#...#", "#...#", "#...#", "#...#", "#...#", "####."),
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
}
_WORD = "PLACEHOLDER"
_HEIGHT = 7
_PIXELS = [".".join(_GLYPHS[letter][line] for letter in _WORD) for line in range(_HEIGHT)]
_WIDTH = len(_PIXELS[0])
_SHARE = 3
"""The word is at most a third of the height."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Rows of pixels, 0 for ground and 1 for ink; most rows are the same few.

    Attributes:
        rows: The different rows, a byte for each pixel.
        order: For each line of the picture, which row it is.
    """

    width: int
    height: int
    rows: tuple[bytes, ...]
    order: tuple[int, ...]


def draw(width: int, height: int) -> Drawing:
    """Return the word in a frame; a picture too small for the word is the frame alone."""
    frame = bytes([1]) * width
    empty = bytes([1]) + bytes(max(0, width - 2)) + bytes([1]) * (width > 1)
    rows, scale = [frame, empty], min((width - 4) // _WIDTH, height // (_HEIGHT * _SHARE))
    order = [1] * height
    order[0] = order[-1] = 0
    if scale >= 1:
        left, top = (width - _WIDTH * scale) // 2, (height - _HEIGHT * scale) // 2
        for line, pixels in enumerate(_PIXELS):
            ink = b"".join(bytes([pixel == "#"]) * scale for pixel in pixels)
            rows.append(empty[:left] + ink + empty[left + len(ink) :])
            order[top + line * scale : top + (line + 1) * scale] = [len(rows) - 1] * scale
    return Drawing(width=width, height=height, rows=tuple(rows), order=tuple(order))


def png(width: int, height: int) -> bytes:
    """Return a PNG of one bit a pixel."""
    drawing = draw(width, height)
    packed = [b"\0" + _packed(row) for row in drawing.rows]
    compress = zlib.compressobj(9)
    data = b"".join(compress.compress(packed[row]) for row in drawing.order) + compress.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    palette = bytes([LIGHT] * 3 + [DARK] * 3)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _packed(row: bytes) -> bytes:
    bits = row.translate(_TO_DIGIT).ljust(-(-len(row) // 8) * 8, b"0")
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


_TO_DIGIT = bytes([48, 49]) + bytes(254)

GIF_RUN = 120
"""Pixels after which the table of a GIF is cleared: before 126 the codes would become longer than a byte."""


def gif(width: int, height: int) -> bytes:
    """Return a GIF whose codes are all one byte: cleared before they grow, so nothing is packed."""
    drawing = draw(width, height)
    palette = bytes([LIGHT] * 3 + [DARK] * 3) + bytes(3 * 126)
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF6, 0, 0) + palette
    head += b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + bytes([7])
    pixels = b"".join(drawing.rows[row] for row in drawing.order)
    runs = [b"\x80" + pixels[start : start + GIF_RUN] for start in range(0, len(pixels), GIF_RUN)]
    codes = b"".join(runs) + b"\x81"
    blocks = [codes[start : start + 255] for start in range(0, len(codes), 255)]
    return head + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0;"


def webp(width: int, height: int) -> bytes:
    """Return a lossless WebP of one bit a pixel; sides up to 16,384."""
    drawing = draw(width, height)
    bits = [
        *(_bits(0x2F, 8), _bits(width - 1, 14), _bits(height - 1, 14), _bits(0, 4)),
        _bits(1, 1) + _bits(2, 2),  # one transform: red and blue are what green is
        _bits(0, 1),
        _bits(0, 1) + _bits(0, 1),  # no colour cache, one group of codes
        _bits(1, 1) + _bits(1, 1) + _bits(1, 1) + _bits(DARK, 8) + _bits(LIGHT, 8),  # green: two symbols, a bit each
        *(_bits(0b0001, 4), _bits(0b0001, 4)),  # red and blue: always 0, no bit
        _bits(1, 1) + _bits(0, 1) + _bits(1, 1) + _bits(255, 8),  # alpha: always opaque
        _bits(0b0001, 4),
    ]
    rows = [row.translate(_TO_SYMBOL).decode() for row in drawing.rows]
    text = "".join(bits) + "".join(rows[row] for row in drawing.order)
    data = int(text[::-1], 2).to_bytes(-(-len(text) // 8), "little")
    data += b"\0" * (len(data) % 2)
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


_TO_SYMBOL = bytes([49, 48]) + bytes(254)
"""Ink is the smaller symbol, so its code is 0."""


def _bits(value: int, count: int) -> str:
    return f"{value:0{count}b}"[::-1]


BLOCK = 8
_DC_LENGTHS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
"""The standard table for steps of brightness (ITU-T T.81, table K.3)."""
_STEP = 16
"""Quantiser: a step of one is two levels of grey."""


def jpeg(width: int, height: int) -> bytes:
    """Return a grey JPEG of squares of 8 by 8 pixels that have no detail."""
    columns, lines = -(-width // BLOCK), -(-height // BLOCK)
    drawing = draw(columns, lines)
    head = b"\xff\xd8" + _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0") + _segment(0xFE, b"placeholder")
    head += _segment(0xDB, b"\0" + bytes([_STEP] * 64))
    head += _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0")
    head += _segment(0xC4, b"\0" + bytes(_DC_LENGTHS) + bytes(range(12)))
    head += _segment(0xC4, b"\x10" + bytes((1, *([0] * 15))) + b"\0")
    head += _segment(0xDA, b"\x01\x01\0\0\x3f\0")
    codes = {step: _step(step) for step in (0, _LEVELS[1] - _LEVELS[0], _LEVELS[0] - _LEVELS[1], *_LEVELS)}
    parts, last = [], 0
    for row in drawing.order:
        for pixel in drawing.rows[row]:
            parts.append(codes[_LEVELS[pixel] - last])
            last = _LEVELS[pixel]
    text = "".join(parts)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + data + b"\xff\xd9"


_LEVELS = ((LIGHT - 128) * BLOCK // _STEP, (DARK - 128) * BLOCK // _STEP)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def _step(value: int) -> str:
    """Return the bits of a step of brightness and of the end of its square."""
    size = abs(value).bit_length()
    code, place = 0, 0
    for length, count in enumerate(_DC_LENGTHS, 1):
        if size < place + count:
            bits = f"{code + size - place:0{length}b}"
            break
        place, code = place + count, (code + count) << 1
    amplitude = value if value > 0 else value + (1 << size) - 1
    return bits + (f"{amplitude:0{size}b}" if size else "") + "0"
