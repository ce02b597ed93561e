"""Points, vectors and payloads between JSON and the engine."""

from typing import Any
from uuid import UUID

from qdrant_edge import PayloadSelector, Point, Record, ScoredPoint, SparseVector

from .problem import bad_request, not_here


def to_id(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64:
        return value
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise bad_request(f"{value!r} is no valid point id: an unsigned integer or a UUID")


def from_id(value: Any) -> int | str:
    return value if isinstance(value, int) else str(value)


def to_vector(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"indices", "values"}:
        return SparseVector(value["indices"], [float(each) for each in value["values"]])
    if isinstance(value, dict):
        return {name: to_vector(each) for name, each in value.items()}
    if isinstance(value, list) and all(isinstance(each, (int, float)) for each in value):
        return [float(each) for each in value]
    raise not_here("this form of vector")


def from_vector(value: Any) -> Any:
    if isinstance(value, SparseVector):
        return {"indices": value.indices, "values": value.values}
    if isinstance(value, dict):
        return {name: from_vector(each) for name, each in value.items()}
    return value


def to_point(body: dict[str, Any]) -> Point:
    if "id" not in body or "vector" not in body:
        raise bad_request("a point has an id and a vector")
    return Point(to_id(body["id"]), to_vector(body["vector"]), body.get("payload"))


def to_points(body: dict[str, Any]) -> list[Point]:
    if "points" in body:
        return [to_point(each) for each in body["points"]]
    if "batch" not in body:
        raise bad_request("an upsert has points or a batch")
    batch = body["batch"]
    ids, vectors = batch["ids"], batch["vectors"]
    payloads = batch.get("payloads") or [None] * len(ids)
    if isinstance(vectors, dict):
        vectors = [dict(zip(vectors, row)) for row in zip(*vectors.values())]
    if not len(ids) == len(vectors) == len(payloads):
        raise bad_request("a batch has as many ids as vectors and payloads")
    return [to_point({"id": i, "vector": v, "payload": p}) for i, v, p in zip(ids, vectors, payloads)]


def to_payload_selector(value: Any, default: bool) -> Any:
    if value is None:
        return default
    if isinstance(value, dict):
        if value.get("include") is not None:
            return PayloadSelector.Include(value["include"])
        return PayloadSelector.Exclude(value.get("exclude") or [])
    return value


def from_record(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = {"id": from_id(record.id)}
    if record.payload is not None:
        body["payload"] = record.payload
    if record.vector is not None:
        body["vector"] = from_vector(record.vector)
    return body


def from_scored(point: ScoredPoint) -> dict[str, Any]:
    body: dict[str, Any] = {"id": from_id(point.id), "version": point.version, "score": point.score}
    if point.payload is not None:
        body["payload"] = point.payload
    if point.vector is not None:
        body["vector"] = from_vector(point.vector)
    return body
