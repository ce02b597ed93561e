"""Several shards read and written as one collection."""

import heapq
import zlib
from collections.abc import Iterable
from typing import Any

from qdrant_edge import CountRequest, EdgeShard, Filter, PayloadSelector, Point, QueryRequest, Record, ScoredPoint, ScrollRequest, UpdateOperation

from .points import from_id

Id = int | str


def _order(point: Id) -> tuple[bool, Id]:
    """Numbers before UUIDs, as the engine has them."""
    return isinstance(point, str), point


class Shards:
    """
    Where a point lies is by a hash of its id, and this hash is not the server's. A point that is there already stays in its
    shard, so that a snapshot which a server made keeps its own places.
    """

    def __init__(self, by_id: dict[int, EdgeShard]):
        self.by_id = by_id

    def close(self) -> None:
        for shard in self.by_id.values():
            shard.close()

    def places(self, ids: Iterable[Id]) -> dict[int, list[Id]]:
        """The ids by shard."""
        wanted = list(ids)
        if len(self.by_id) == 1:
            return {number: wanted for number in self.by_id}
        held = {
            from_id(record.id): number
            for number, shard in self.by_id.items()
            for record in shard.retrieve(wanted, False, False)
        }
        numbers = sorted(self.by_id)
        placed: dict[int, list[Id]] = {}
        for each in wanted:
            number = held.get(each, numbers[zlib.crc32(str(each).encode()) % len(numbers)])
            placed.setdefault(number, []).append(each)
        return placed

    def upsert(self, points: list[Point]) -> None:
        by_point = {from_id(point.id): point for point in points}
        for number, ids in self.places(by_point).items():
            self.by_id[number].update(UpdateOperation.upsert_points([by_point[each] for each in ids]))

    def change(self, ids: list[Id], operation: Any) -> None:
        """`operation` makes the engine's update of a list of ids."""
        for number, placed in self.places(ids).items():
            self.by_id[number].update(operation(placed))

    def change_all(self, operation: Any) -> None:
        for shard in self.by_id.values():
            shard.update(operation)

    def retrieve(self, ids: list[Id], payload: bool | PayloadSelector, vector: Any) -> list[Record]:
        found = {
            from_id(record.id): record for shard in self.by_id.values() for record in shard.retrieve(ids, payload, vector)
        }
        return [found[each] for each in ids if each in found]

    def count(self, conditions: Filter | None) -> int:
        return sum(shard.count(CountRequest(exact=True, filter=conditions)) for shard in self.by_id.values())

    def scroll(self, request: ScrollRequest) -> tuple[list[Record], Id | None]:
        """One page over all shards, in the order of ids."""
        records: list[Record] = []
        following: list[Id] = []
        for shard in self.by_id.values():
            page, after = shard.scroll(request)
            records += page
            following += [] if after is None else [from_id(after)]
        records.sort(key=lambda record: _order(from_id(record.id)))
        limit = request.limit or 10
        following += [from_id(record.id) for record in records[limit : limit + 1]]
        return records[:limit], min(following, key=_order, default=None)

    def query(self, request: QueryRequest, *, limit: int, offset: int, nearest_is_low: bool) -> list[ScoredPoint]:
        if len(self.by_id) == 1:
            (shard,) = self.by_id.values()
            return shard.query(request)
        found = (point for shard in self.by_id.values() for point in shard.query(request))
        choose = heapq.nsmallest if nearest_is_low else heapq.nlargest
        return choose(offset + limit, found, key=lambda point: point.score)[offset:]
