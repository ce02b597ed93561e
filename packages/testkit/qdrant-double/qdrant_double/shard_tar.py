"""The tar of one shard as a Qdrant server streams it, and the way back."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from qdrant_edge import EdgeShard

from .problem import Problem
from .sparse_files import files_below
from .sparse_tar import END, bytes_entry, file_entry, holed_entry

SHARD_CONFIG = json.dumps({"type": "ReplicaSet"}, separators=(",", ":")).encode()
WAL_BYTES = 32 << 20


def replica_state(replicas: dict[int, str], peer: int) -> bytes:
    state = {"is_local": peer in replicas, "this_peer_id": peer, "peers": {str(each): state for each, state in replicas.items()}}
    return json.dumps(state, separators=(",", ":")).encode()


def entries(shard: Path, state: bytes) -> Iterator[bytes]:
    """The order is the server's: segments, the log, and last the two small files that say that it is whole."""
    for segment in sorted((shard / "segments").iterdir()):
        for file in files_below(segment):
            yield from file_entry(f"segments/{segment.name}/files/{file.relative_to(segment)}", file)
    yield _empty_wal(shard / "wal" / "first-index")
    yield bytes_entry("replica_state.json", state)
    yield bytes_entry("shard_config.json", SHARD_CONFIG)
    yield END


def _empty_wal(first_index: Path) -> bytes:
    """
    Instead of a flushed shard's log an empty one that goes on after its last index, as a server sends it. Without any log
    the engine would number operations from 0 again and ignore updates of points that it has.
    """
    last = json.loads(first_index.read_text())["ack_index"] if first_index.exists() else 0
    return holed_entry(f"wal/closed-{last + 1}", b"wal\0" + bytes(4), WAL_BYTES)


def unpack(tar: Path, target: Path) -> None:
    """Lets the engine itself unpack a shard's tar, whole or not at all."""
    try:
        EdgeShard.unpack_snapshot(str(tar), str(target))
    except Exception as error:  # the engine raises nothing finer
        shutil.rmtree(target, ignore_errors=True)
        raise Problem(500, f"Service internal error: cannot unpack the snapshot: {error}") from error
    missing = [name for name in ("replica_state.json", "shard_config.json") if not (target / name).exists()]
    if missing or not (target / "segments").is_dir():
        shutil.rmtree(target, ignore_errors=True)
        raise Problem(500, f"Service internal error: the snapshot has no {', '.join(missing) or 'segments'}")
    for name in ("replica_state.json", "shard_config.json"):
        (target / name).unlink()
