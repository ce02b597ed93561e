"""Points: written, read, counted, searched."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from qdrant_edge import Filter, HasIdCondition, Query, QueryRequest, Sample, ScrollRequest, SearchParams

from . import configuration
from .collection import Collection
from .filters import to_filter
from .http import answer, body_of, collection_of, updated
from .points import from_id, from_record, from_scored, to_id, to_payload_selector, to_vector
from .problem import not_found, not_here

routes = web.RouteTableDef()


def write_route(method: str, path: str, change: Callable[[Collection, dict[str, Any]], None]) -> None:
    @routes.route(method, f"/collections/{{collection}}{path}")
    async def handler(request: web.Request) -> web.Response:
        collection, body = collection_of(request), await body_of(request)
        await collection.write(lambda: change(collection, body))
        return updated(request)


write_route("PUT", "/points", Collection.upsert)
write_route("POST", "/points/delete", Collection.delete)
write_route("POST", "/points/payload", Collection.set_payload)
write_route("PUT", "/points/payload", Collection.overwrite_payload)
write_route("POST", "/points/payload/delete", Collection.delete_payload)
write_route("POST", "/points/payload/clear", Collection.clear_payload)


def read_route(path: str, read: Callable[[Collection, dict[str, Any]], Any]) -> None:
    @routes.post(f"/collections/{{collection}}{path}")
    async def handler(request: web.Request) -> web.Response:
        collection, body = collection_of(request), await body_of(request)
        return answer(request, await asyncio.to_thread(read, collection, body))


def retrieve(collection: Collection, body: dict[str, Any]) -> list[dict[str, Any]]:
    payload, vector = to_payload_selector(body.get("with_payload"), True), body.get("with_vector", False)
    return [from_record(each) for each in collection.shards.retrieve([to_id(each) for each in body["ids"]], payload, vector)]


def scroll(collection: Collection, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("order_by") is not None:
        raise not_here("a scroll with order_by")
    records, following = collection.shards.scroll(
        ScrollRequest(
            offset=None if body.get("offset") is None else to_id(body["offset"]),
            limit=body.get("limit") or 10,
            filter=to_filter(body.get("filter")),
            with_payload=to_payload_selector(body.get("with_payload"), True),
            with_vector=body.get("with_vector") or False,
        )
    )
    points = [from_record(each) for each in records]
    return {"points": points, "next_page_offset": None if following is None else from_id(following)}


def query(collection: Collection, body: dict[str, Any]) -> dict[str, Any]:
    wanted = body.get("query")
    if isinstance(wanted, dict) and "nearest" in wanted:
        wanted = wanted["nearest"]
    for name in ("prefetch", "lookup_from"):
        if body.get(name) is not None:
            raise not_here(f"a query with {name}")
    return {"points": _search(collection, wanted, body.get("using"), body)}


def search(collection: Collection, body: dict[str, Any]) -> list[dict[str, Any]]:
    vector = body["vector"]
    named = isinstance(vector, dict) and "name" in vector
    return _search(collection, vector["vector"] if named else vector, vector["name"] if named else None, body)


def _search(collection: Collection, wanted: Any, using: str | None, body: dict[str, Any]) -> list[dict[str, Any]]:
    conditions = to_filter(body.get("filter"))
    if isinstance(wanted, (int, str)):
        wanted, itself = _vector_of(collection, to_id(wanted), using)
        conditions = Filter(must=[conditions] if conditions else None, must_not=[HasIdCondition({itself})])
    if wanted == {"sample": "random"}:
        scoring: Any = Sample.Random
    elif isinstance(wanted, dict) and set(wanted) != {"indices", "values"}:
        raise not_here(f"the query {sorted(wanted)}")
    else:
        scoring = None if wanted is None else Query.Nearest(to_vector(wanted), using)
    exact = bool((body.get("params") or {}).get("exact"))
    limit, offset = body.get("limit") or 10, body.get("offset") or 0
    is_one = len(collection.shards.by_id) == 1
    request = QueryRequest(
        limit=limit if is_one else limit + offset,
        offset=offset if is_one else 0,
        query=scoring,
        with_vector=body.get("with_vector") or False,
        with_payload=to_payload_selector(body.get("with_payload"), False),
        filter=conditions,
        score_threshold=body.get("score_threshold"),
        params=SearchParams(exact=exact),
    )
    low = configuration.nearest_is_low(collection.config, using)
    return [from_scored(each) for each in collection.shards.query(request, limit=limit, offset=offset, nearest_is_low=low)]


def _vector_of(collection: Collection, point: int | str, using: str | None) -> tuple[Any, int | str]:
    records = collection.shards.retrieve([point], False, True)
    if not records:
        raise not_found(f"No point with id {point} found")
    vector = from_record(records[0]).get("vector")
    if using:
        vector = vector.get(using) if isinstance(vector, dict) else None
    if vector is None:
        raise not_found(f"Vector with name {using or ''} for point {point}")
    return vector, point


def count(collection: Collection, body: dict[str, Any]) -> dict[str, int]:
    return {"count": collection.count(body.get("filter"))}


read_route("/points", retrieve)
read_route("/points/scroll", scroll)
read_route("/points/count", count)
read_route("/points/query", query)
read_route("/points/search", search)


@routes.get("/collections/{collection}/points/{point}")
async def one(request: web.Request) -> web.Response:
    text = request.match_info["point"]
    point = to_id(int(text) if text.isdigit() else text)
    found = await asyncio.to_thread(collection_of(request).shards.retrieve, [point], True, True)
    if not found:
        raise not_found(f"Point with id {point} does not exists!")
    return answer(request, from_record(found[0]))
