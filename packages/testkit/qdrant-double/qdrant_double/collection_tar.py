"""A collection's snapshot file: written as a Qdrant server writes it, and taken apart."""

import json
import tarfile
from pathlib import Path
from typing import Any

from .problem import Problem, bad_request
from .shard_tar import REPLICA_STATE, SHARD_CONFIG
from .sparse_files import files_below
from .sparse_tar import END, bytes_entry, file_entry

PIECE_BYTES = 1 << 16


def write(shard: Path, config: dict[str, Any], schema: dict[str, Any], target: Path) -> None:
    """`shard` is a copy that nobody writes to. Segments are tars of their own, and the log travels with them."""
    with open(target, "wb") as out:
        for segment in sorted((shard / "segments").iterdir()):
            nested = target.with_name(f"{target.name}.{segment.name}")
            with open(nested, "wb") as inner:
                for file in files_below(segment):
                    inner.writelines(file_entry(f"snapshot/files/{file.relative_to(segment)}", file))
                inner.write(END)
            out.writelines(file_entry(f"0/segments/{segment.name}.tar", nested))
            nested.unlink()
        for file in files_below(shard / "wal"):
            out.writelines(file_entry(f"0/wal/{file.name}", file))
        out.write(bytes_entry("0/replica_state.json", REPLICA_STATE))
        out.write(bytes_entry("0/shard_config.json", SHARD_CONFIG))
        out.write(bytes_entry("version.info", b"0.4.2"))
        out.write(bytes_entry("config.json", json.dumps(config).encode()))
        out.write(bytes_entry("shard_key_mapping.json", b"[]"))
        out.write(bytes_entry("payload_index.json", json.dumps({"schema": schema}).encode()))
        out.write(END)


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
    """Unpacks the one shard into `target` and gives the configuration and the payload schema."""
    try:
        with tarfile.open(snapshot, "r:") as tar:
            config = _json(tar, "config.json")
            shards = {member.name.split("/", 1)[0] for member in tar if "/" in member.name}
            if config["params"]["shard_number"] != 1 or shards != {"0"}:
                raise bad_request(
                    f"the qdrant double holds collections of one shard, and this snapshot has {config['params']['shard_number']}: "
                    "restored here, all but the first would be missing"
                )
            schema = _json(tar, "payload_index.json")["schema"]
            for member in tar:
                _unpack_member(tar, member, target)
            return config, schema
    except (tarfile.TarError, EOFError, OSError, json.JSONDecodeError) as error:
        raise Problem(500, f"Service internal error: cannot unpack the snapshot: {error}") from error


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = _safe(member.name)
    if path.parts[:2] == ("0", "wal") and len(path.parts) == 3:
        _extract(tar, member, target / "wal" / path.name)
    elif path.parts[:2] == ("0", "segments") and path.suffix == ".tar":
        source = tar.extractfile(member)
        if source is None:
            raise bad_request(f"{member.name} is no file")
        with tarfile.open(fileobj=source, mode="r:") as segment:
            for inner in segment:
                inner_path = _safe(inner.name)
                if inner.isfile():
                    _extract(segment, inner, target / "segments" / path.stem / inner_path.relative_to("snapshot/files"))


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
