"""One collection: shards of the engine, its configuration on disk, and what of it is under way."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_edge import EdgeShard, ScrollRequest, UpdateOperation

from . import configuration
from .filters import to_filter
from .flaw import Optimization
from .points import from_id, to_id, to_points
from .problem import bad_request, not_found
from .shards import Shards
from .sparse_files import copy_tree

META = "meta.json"


def write_json(path: Path, value: Any) -> None:
    """Replaced in one step: a process killed at any moment leaves the old or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_text(json.dumps(value))
    os.replace(temporary, path)


class Collection:
    def __init__(self, name: str, directory: Path, meta: dict[str, Any], shards: Shards):
        self.name = name
        self.directory = directory
        self.meta = meta
        self.shards = shards
        #: Writers take turns, and content is fixed between two of them.
        self.writes = asyncio.Lock()
        #: One stream or snapshot of a shard at a time: a stalled one holds the next, as on a server.
        self.reading = {number: asyncio.Lock() for number in shards.by_id}
        self.optimization: Optimization | None = None

    @classmethod
    def create(cls, name: str, directory: Path, config: dict[str, Any], peers: list[int]) -> "Collection":
        """Shards go round the peers; each replica is the same shard of the engine, so that replicas never differ."""
        params = config["params"]
        replicas = min(params["replication_factor"], len(peers))
        numbers = range(params["shard_number"])
        meta = {
            "name": name,
            "config": config,
            "schema": {},
            "shards": {str(number): f"shard-{uuid4().hex}" for number in numbers},
            "replicas": {
                str(number): {str(peers[(number + each) % len(peers)]): "Active" for each in range(replicas)}
                for number in numbers
            },
        }
        by_id: dict[int, EdgeShard] = {}
        for number in numbers:
            path = directory / meta["shards"][str(number)]
            path.mkdir(parents=True)
            by_id[number] = EdgeShard.create(str(path), configuration.to_edge(config))
        write_json(directory / META, meta)
        return cls(name, directory, meta, Shards(by_id))

    @classmethod
    def load(cls, directory: Path) -> "Collection":
        meta = json.loads((directory / META).read_text())
        if "shard" in meta:  # of a demo's home that is older than several shards
            meta |= {"shards": {"0": meta.pop("shard")}, "replicas": {"0": {"1": "Active"}}}
        for entry in directory.iterdir():
            if entry.is_dir() and entry.name not in meta["shards"].values():
                shutil.rmtree(entry)  # what a killed restore left behind
        by_id = {int(number): EdgeShard.load(str(directory / path)) for number, path in meta["shards"].items()}
        return cls(meta["name"], directory, meta, Shards(by_id))

    @property
    def config(self) -> dict[str, Any]:
        return self.meta["config"]

    @property
    def schema(self) -> dict[str, Any]:
        return self.meta["schema"]

    def path_of(self, number: int) -> Path:
        return self.directory / self.meta["shards"][str(number)]

    def replicas_of(self, number: int) -> dict[int, str]:
        """The state of each replica, by peer."""
        return {int(peer): state for peer, state in self.meta["replicas"][str(number)].items()}

    def shards_on(self, peer: int) -> list[int]:
        return [number for number in self.shards.by_id if peer in self.replicas_of(number)]

    def save(self) -> None:
        write_json(self.directory / META, self.meta)

    def close(self) -> None:
        self.shards.close()

    # What is asked of it

    def status(self) -> str:
        is_read = any(lock.locked() for lock in self.reading.values())
        return "yellow" if self.optimization is not None or is_read else "green"

    def info(self) -> dict[str, Any]:
        infos = [shard.info() for shard in self.shards.by_id.values()]
        points = {
            field: sum(info.payload_schema[field].points for info in infos if field in info.payload_schema) for field in self.schema
        }
        return {
            "status": self.status(),
            "optimizer_status": "ok",
            "indexed_vectors_count": sum(info.indexed_vectors_count for info in infos),
            "points_count": sum(info.points_count for info in infos),
            "segments_count": sum(info.segments_count for info in infos),
            "config": {name: value for name, value in self.config.items() if name != "uuid"},
            "payload_schema": {field: configuration.index_info(schema, points[field]) for field, schema in self.schema.items()},
            "update_queue": {"length": 0},
        }

    def count(self, filter_body: dict[str, Any] | None = None) -> int:
        return self.shards.count(to_filter(filter_body))

    def segments(self) -> list[dict[str, Any]]:
        manifests = [shard.snapshot_manifest() for shard in self.shards.by_id.values()]
        return [{"uuid": segment, "points_count": 0} for manifest in manifests for segment in sorted(manifest)]

    # Writes

    async def write(self, change: Callable[[], None]) -> None:
        async with self.writes:
            await asyncio.to_thread(change)

    def upsert(self, body: dict[str, Any]) -> None:
        points = to_points(body)
        self.shards.upsert(points)
        if self.optimization is not None:
            self.optimization.forget([from_id(point.id) for point in points])

    def delete(self, body: dict[str, Any]) -> None:
        ids = self.selected(body)
        if self.optimization is not None:
            for number, shard in self.shards.by_id.items():
                self.optimization.remember(number, shard.retrieve(ids, True, True))
        self.shards.change(ids, UpdateOperation.delete_points)

    def set_payload(self, body: dict[str, Any]) -> None:
        self.shards.change(self.selected(body), lambda ids: UpdateOperation.set_payload(ids, body["payload"], body.get("key")))

    def overwrite_payload(self, body: dict[str, Any]) -> None:
        self.shards.change(self.selected(body), lambda ids: UpdateOperation.overwrite_payload(ids, body["payload"], body.get("key")))

    def delete_payload(self, body: dict[str, Any]) -> None:
        self.shards.change(self.selected(body), lambda ids: UpdateOperation.delete_payload(ids, body["keys"]))

    def clear_payload(self, body: dict[str, Any]) -> None:
        self.shards.change(self.selected(body), UpdateOperation.clear_payload)

    def selected(self, body: dict[str, Any]) -> list[Any]:
        """The ids that `points` or `filter` of a request name."""
        if body.get("points") is not None:
            return [to_id(each) for each in body["points"]]
        if body.get("filter") is None:
            raise bad_request("name points or a filter")
        found: list[Any] = []
        offset = None
        while True:
            records, offset = self.shards.scroll(ScrollRequest(offset, 1000, to_filter(body["filter"]), False, False))
            found += [from_id(record.id) for record in records]
            if offset is None:
                return found

    def create_index(self, field: str, schema: Any) -> None:
        self.shards.change_all(UpdateOperation.create_field_index(field, configuration.to_index(schema)))
        self.schema[field] = schema
        self.save()

    def delete_index(self, field: str) -> None:
        if field not in self.schema:
            raise not_found(f"Payload index {field!r}")
        self.shards.change_all(UpdateOperation.delete_field_index(field))
        del self.schema[field]
        self.save()

    # Its files

    def copy(self, number: int, target: Path) -> None:
        """A copy of the shard at this moment. The caller holds `writes`."""
        self.shards.by_id[number].flush()
        copy_tree(self.path_of(number), target)

    def replace_shard(self, number: int, directory: Path) -> None:
        """Takes over a shard that was unpacked beside the old one. The caller holds `writes`."""
        shard = EdgeShard.load(str(directory), configuration.to_edge(self.config))
        for field, schema in self.schema.items():
            if field not in shard.info().payload_schema:
                shard.update(UpdateOperation.create_field_index(field, configuration.to_index(schema)))
        old, old_path = self.shards.by_id[number], self.path_of(number)
        self.meta["shards"][str(number)] = directory.name
        self.save()
        self.shards.by_id[number] = shard
        old.close()
        shutil.rmtree(old_path)
