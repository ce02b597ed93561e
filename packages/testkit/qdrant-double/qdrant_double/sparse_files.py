"""Files with holes: the engine preallocates 32 MiB at a time, so a plain copy or tar would be mostly zeros."""

import os
from collections.abc import Iterator
from pathlib import Path

COPY_BYTES = 1 << 20


def extents(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Where the file has data, as (offset, bytes)."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            break
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        found.append((begin, min(end, size) - begin))
        at = end
    return found


def read_extent(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    while length > 0:
        data = os.pread(descriptor, min(length, COPY_BYTES), offset)
        if not data:
            raise EOFError(f"a file became shorter while it was read, at {offset}")
        yield data
        offset += len(data)
        length -= len(data)


def copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        for offset, length in extents(reader.fileno(), size):
            writer.seek(offset)
            for data in read_extent(reader.fileno(), offset, length):
                writer.write(data)
        writer.truncate(size)


def copy_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_dir():
            copy_tree(entry, target / entry.name)
        else:
            copy_file(entry, target / entry.name)


def files_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())
