"""A collection's snapshot file: written as a Qdrant server writes it, and taken apart."""

import json
import tarfile
from pathlib import Path
from typing import IO, Any

from .problem import Problem, bad_request
from .shard_tar import SHARD_CONFIG
from .sparse_files import files_below
from .sparse_tar import END, bytes_entry, file_entry

PIECE_BYTES = 1 << 16


def write(
    shards: dict[int, Path], states: dict[int, bytes], config: dict[str, Any], schema: dict[str, Any], target: Path
) -> None:
    """
    `shards` are copies of this peer's shards, that nobody writes to; of the others only their state is in it. Segments are
    tars of their own, and the log travels with them.
    """
    with open(target, "wb") as out:
        for number, state in states.items():
            if number in shards:
                _write_shard(out, number, shards[number], target)
            out.write(bytes_entry(f"{number}/replica_state.json", state))
            out.write(bytes_entry(f"{number}/shard_config.json", SHARD_CONFIG))
        out.write(bytes_entry("version.info", b"0.4.2"))
        out.write(bytes_entry("config.json", json.dumps(config).encode()))
        out.write(bytes_entry("shard_key_mapping.json", b"[]"))
        out.write(bytes_entry("payload_index.json", json.dumps({"schema": schema}).encode()))
        out.write(END)


def _write_shard(out: IO[bytes], number: int, shard: Path, target: Path) -> None:
    for segment in sorted((shard / "segments").iterdir()):
        nested = target.with_name(f"{target.name}.{segment.name}")
        with open(nested, "wb") as inner:
            for file in files_below(segment):
                inner.writelines(file_entry(f"snapshot/files/{file.relative_to(segment)}", file))
            inner.write(END)
        out.writelines(file_entry(f"{number}/segments/{segment.name}.tar", nested))
        nested.unlink()
    for file in files_below(shard / "wal"):
        out.writelines(file_entry(f"{number}/wal/{file.name}", file))


def _safe(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise bad_request(f"the snapshot has the unsafe path {name!r}")
    return path


def _json(tar: tarfile.TarFile, name: str) -> Any:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise bad_request(f"this is no collection snapshot: it has no {name}")
    return json.load(file)


def read(snapshot: Path, target: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Unpacks each shard that has content into its folder of `target`; gives the configuration and the payload schema."""
    try:
        with tarfile.open(snapshot, "r:") as tar:
            config = _json(tar, "config.json")
            schema = _json(tar, "payload_index.json")["schema"]
            for member in tar:
                _unpack_member(tar, member, target)
            return config, schema
    except (tarfile.TarError, EOFError, OSError, json.JSONDecodeError) as error:
        raise Problem(500, f"Service internal error: cannot unpack the snapshot: {error}") from error


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = _safe(member.name)
    if len(path.parts) != 3 or not path.parts[0].isdigit():
        return
    shard = target / path.parts[0]
    if path.parts[1] == "wal":
        _extract(tar, member, shard / "wal" / path.name)
    elif path.parts[1] == "segments" and path.suffix == ".tar":
        source = tar.extractfile(member)
        if source is None:
            raise bad_request(f"{member.name} is no file")
        with tarfile.open(fileobj=source, mode="r:") as segment:
            for inner in segment:
                inner_path = _safe(inner.name)
                if inner.isfile():
                    _extract(segment, inner, shard / "segments" / path.stem / inner_path.relative_to("snapshot/files"))


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Zeros are left out, so that preallocated files do not fill the disk."""
    source = tar.extractfile(member)
    if source is None:
        raise bad_request(f"{member.name} is no file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as out:
        while data := source.read(PIECE_BYTES):
            if data.count(0) == len(data):
                out.seek(len(data), 1)
            else:
                out.write(data)
        out.truncate(member.size)
