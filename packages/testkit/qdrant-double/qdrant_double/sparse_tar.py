"""GNU tar with sparse entries, as Qdrant writes its snapshots. Python's tarfile reads these and cannot write them."""

import os
from collections.abc import Iterator
from pathlib import Path

from .sparse_files import extents, read_extent

BLOCK = 512
#: What ends a whole archive.
END = bytes(2 * BLOCK)

REGULAR, SPARSE, LONG_NAME = b"0", b"S", b"L"
IN_HEADER, IN_EXTENSION = 4, 21


def _octal(value: int, width: int) -> bytes:
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value | 1 << (8 * width - 1)).to_bytes(width, "big")


def _padding(length: int) -> bytes:
    return bytes(-length % BLOCK)


def _header(name: bytes, size: int, kind: bytes, sparse: bytes = b"") -> bytes:
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:108] = _octal(0o644, 8)
    block[108:116] = _octal(0, 8)
    block[116:124] = _octal(0, 8)
    block[124:136] = _octal(size, 12)
    block[136:148] = _octal(0, 12)  # no time of its own: the same content is the same bytes
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar  \0"
    block[386 : 386 + len(sparse)] = sparse
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _named(name: str, size: int, kind: bytes, sparse: bytes = b"") -> bytes:
    encoded = name.encode()
    if len(encoded) < 100:
        return _header(encoded, size, kind, sparse)
    long = encoded + b"\0"
    return _header(b"././@LongLink", len(long), LONG_NAME) + long + _padding(len(long)) + _header(encoded[:99], size, kind, sparse)


def bytes_entry(name: str, content: bytes) -> bytes:
    return _named(name, len(content), REGULAR) + content + _padding(len(content))


def _sparse_map(parts: list[tuple[int, int]], real_size: int) -> tuple[bytes, bytes]:
    """The part of the map that fits the header, with the real size behind it, and the extension blocks after it."""
    packed = [_octal(offset, 12) + _octal(length, 12) for offset, length in parts]
    rest = packed[IN_HEADER:]
    head = b"".join(packed[:IN_HEADER]).ljust(IN_HEADER * 24, b"\0")
    head += (b"\1" if rest else b"\0") + _octal(real_size, 12)
    blocks = b""
    while rest:
        taken, rest = rest[:IN_EXTENSION], rest[IN_EXTENSION:]
        blocks += (b"".join(taken).ljust(IN_EXTENSION * 24, b"\0") + (b"\1" if rest else b"\0")).ljust(BLOCK, b"\0")
    return head, blocks


def holed_entry(name: str, head: bytes, size: int) -> bytes:
    """A file of `size` bytes that is nothing but a hole after its head."""
    head = head + _padding(len(head))
    parts, blocks = _sparse_map([(0, len(head)), (size, 0)], size)
    return _named(name, len(head), SPARSE, parts) + blocks + head


def file_entry(name: str, path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        parts = extents(descriptor, size)
        stored = sum(length for _, length in parts)
        if stored == size:
            yield _named(name, size, REGULAR)
        else:
            if not parts or sum(parts[-1]) < size:
                parts.append((size, 0))  # an archive says by an empty part that the file ends with a hole
            head, blocks = _sparse_map(parts, size)
            yield _named(name, stored, SPARSE, head) + blocks
        for offset, length in parts:
            yield from read_extent(descriptor, offset, length)
        yield _padding(stored)
