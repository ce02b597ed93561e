"""
The imitated flaw. In a Qdrant server an optimization wraps the segments it works on, keeps deletes of their points in
memory, and a shard stream copies the wrapped segments alone: deletes that were acknowledged while the optimization ran
are missing from the stream. Here an optimization does nothing but run, be listed, and remember what was deleted
meanwhile, so that a stream can bring it back.
"""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_edge import EdgeShard, Point, Record, UpdateOperation

from .points import from_id


@dataclass
class Optimization:
    uuid: str = field(default_factory=lambda: str(uuid4()))
    started: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat())
    #: By shard.
    deleted: dict[int, dict[int | str, Record]] = field(default_factory=dict)

    def forget(self, ids: list[int | str]) -> None:
        """Written again: the new value lies in a segment that the stream copies."""
        for deleted in self.deleted.values():
            for each in ids:
                deleted.pop(each, None)

    def remember(self, number: int, records: list[Record]) -> None:
        self.deleted.setdefault(number, {}).update({from_id(record.id): record for record in records})

    def has_deleted(self, number: int) -> bool:
        return bool(self.deleted.get(number))

    def listed(self, segments: list[dict[str, Any]]) -> dict[str, Any]:
        """As `GET /collections/{c}/optimizations` of 1.17 lists it."""
        return {
            "uuid": self.uuid,
            "optimizer": "indexing",
            "status": "optimizing",
            "segments": segments,
            "progress": {"name": "Segment Optimizing", "started_at": self.started},
        }

    def bring_back(self, number: int, shard: Path) -> None:
        """Undoes the remembered deletes in a copy of the shard."""
        copy = EdgeShard.load(str(shard))
        deleted = self.deleted.get(number, {}).values()
        back = [Point(record.id, record.vector if record.vector is not None else {}, record.payload) for record in deleted]
        copy.update(UpdateOperation.upsert_points(back))
        copy.flush()
        copy.close()
