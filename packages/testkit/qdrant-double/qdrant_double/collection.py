"""One collection: a shard of the engine, its configuration on disk, and what of it is under way."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_edge import CountRequest, EdgeShard, ScrollRequest, UpdateOperation

from . import configuration
from .filters import to_filter
from .flaw import Optimization
from .points import from_id, to_id, to_points
from .problem import bad_request, not_found
from .sparse_files import copy_tree

META = "meta.json"


def write_json(path: Path, value: Any) -> None:
    """Replaced in one step: a process killed at any moment leaves the old or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_text(json.dumps(value))
    os.replace(temporary, path)


class Collection:
    def __init__(self, name: str, directory: Path, meta: dict[str, Any], shard: EdgeShard):
        self.name = name
        self.directory = directory
        self.meta = meta
        self.shard = shard
        #: Writers take turns, and content is fixed between two of them.
        self.writes = asyncio.Lock()
        #: One stream or snapshot of the shard at a time: a stalled one holds the next, as on a server.
        self.reading = asyncio.Lock()
        self.optimization: Optimization | None = None

    @classmethod
    def create(cls, name: str, directory: Path, config: dict[str, Any]) -> "Collection":
        meta = {"name": name, "config": config, "schema": {}, "shard": f"shard-{uuid4().hex}"}
        edge_config = configuration.to_edge(config)
        (directory / meta["shard"]).mkdir(parents=True)
        shard = EdgeShard.create(str(directory / meta["shard"]), edge_config)
        write_json(directory / META, meta)
        return cls(name, directory, meta, shard)

    @classmethod
    def load(cls, directory: Path) -> "Collection":
        meta = json.loads((directory / META).read_text())
        for entry in directory.iterdir():
            if entry.is_dir() and entry.name != meta["shard"]:
                shutil.rmtree(entry)  # what a killed restore left behind
        return cls(meta["name"], directory, meta, EdgeShard.load(str(directory / meta["shard"])))

    @property
    def config(self) -> dict[str, Any]:
        return self.meta["config"]

    @property
    def schema(self) -> dict[str, Any]:
        return self.meta["schema"]

    @property
    def path(self) -> Path:
        return self.directory / self.meta["shard"]

    def save(self) -> None:
        write_json(self.directory / META, self.meta)

    def close(self) -> None:
        self.shard.close()

    # What is asked of it

    def status(self) -> str:
        return "yellow" if self.optimization is not None or self.reading.locked() else "green"

    def info(self) -> dict[str, Any]:
        info = self.shard.info()
        indexed = info.payload_schema
        points = {field: indexed[field].points if field in indexed else 0 for field in self.schema}
        return {
            "status": self.status(),
            "optimizer_status": "ok",
            "indexed_vectors_count": info.indexed_vectors_count,
            "points_count": info.points_count,
            "segments_count": info.segments_count,
            "config": {name: value for name, value in self.config.items() if name != "uuid"},
            "payload_schema": {field: configuration.index_info(schema, points[field]) for field, schema in self.schema.items()},
            "update_queue": {"length": 0},
        }

    def count(self, filter_body: dict[str, Any] | None = None) -> int:
        return self.shard.count(CountRequest(exact=True, filter=to_filter(filter_body)))

    def segments(self) -> list[dict[str, Any]]:
        manifest = self.shard.snapshot_manifest()
        return [{"uuid": segment, "points_count": 0} for segment in sorted(manifest)]

    # Writes

    async def write(self, change: Callable[[], None]) -> None:
        async with self.writes:
            await asyncio.to_thread(change)

    def upsert(self, body: dict[str, Any]) -> None:
        points = to_points(body)
        self.shard.update(UpdateOperation.upsert_points(points))
        if self.optimization is not None:
            self.optimization.forget([from_id(point.id) for point in points])

    def delete(self, body: dict[str, Any]) -> None:
        ids = self.selected(body)
        if self.optimization is not None:
            self.optimization.remember(self.shard.retrieve(ids, True, True))
        self.shard.update(UpdateOperation.delete_points(ids))

    def set_payload(self, body: dict[str, Any]) -> None:
        self.shard.update(UpdateOperation.set_payload(self.selected(body), body["payload"], body.get("key")))

    def overwrite_payload(self, body: dict[str, Any]) -> None:
        self.shard.update(UpdateOperation.overwrite_payload(self.selected(body), body["payload"], body.get("key")))

    def delete_payload(self, body: dict[str, Any]) -> None:
        self.shard.update(UpdateOperation.delete_payload(self.selected(body), body["keys"]))

    def clear_payload(self, body: dict[str, Any]) -> None:
        self.shard.update(UpdateOperation.clear_payload(self.selected(body)))

    def selected(self, body: dict[str, Any]) -> list[Any]:
        """The ids that `points` or `filter` of a request name."""
        if body.get("points") is not None:
            return [to_id(each) for each in body["points"]]
        if body.get("filter") is None:
            raise bad_request("name points or a filter")
        found: list[Any] = []
        offset = None
        while True:
            records, offset = self.shard.scroll(ScrollRequest(offset, 1000, to_filter(body["filter"]), False, False))
            found += [from_id(record.id) for record in records]
            if offset is None:
                return found

    def create_index(self, field: str, schema: Any) -> None:
        self.shard.update(UpdateOperation.create_field_index(field, configuration.to_index(schema)))
        self.schema[field] = schema
        self.save()

    def delete_index(self, field: str) -> None:
        if field not in self.schema:
            raise not_found(f"Payload index {field!r}")
        self.shard.update(UpdateOperation.delete_field_index(field))
        del self.schema[field]
        self.save()

    # Its files

    def copy(self, target: Path) -> None:
        """A copy of the shard at this moment. The caller holds `writes`."""
        self.shard.flush()
        copy_tree(self.path, target)

    def replace_shard(self, directory: Path) -> None:
        """Takes over a shard that was unpacked beside the old one. The caller holds `writes`."""
        shard = EdgeShard.load(str(directory), configuration.to_edge(self.config))
        for field, schema in self.schema.items():
            if field not in shard.info().payload_schema:
                shard.update(UpdateOperation.create_field_index(field, configuration.to_index(schema)))
        old, old_path = self.shard, self.path
        self.meta["shard"] = directory.name
        self.save()
        self.shard = shard
        old.close()
        shutil.rmtree(old_path)
