"""Collections, payload indexes and aliases."""

import asyncio
from contextlib import AsyncExitStack

from aiohttp import web

from . import TITLE, VERSION, configuration
from .faults import FAULTS
from .http import PEER, STORAGE, answer, body_of, collection_of, updated
from .problem import not_here

routes = web.RouteTableDef()


@routes.get("/")
async def root(request: web.Request) -> web.Response:
    return web.json_response({"title": TITLE, "version": request.app[FAULTS].version or VERSION, "commit": "double"})


@routes.get("/healthz")
@routes.get("/readyz")
@routes.get("/livez")
async def health(request: web.Request) -> web.Response:
    return web.Response(text="all shards are ready (qdrant double)")


@routes.get("/cluster")
async def cluster(request: web.Request) -> web.Response:
    storage = request.app[STORAGE]
    if len(storage.peers) == 1:
        return answer(request, {"status": "disabled"})
    peers = {str(peer): {"uri": f"http://peer-{peer}:6335/"} for peer in storage.peers}
    return answer(request, {"status": "enabled", "peer_id": request.app[PEER], "peers": peers, "message_send_failures": {}})


@routes.get("/collections")
async def list_collections(request: web.Request) -> web.Response:
    return answer(request, {"collections": [{"name": name} for name in request.app[STORAGE].collections]})


@routes.put("/collections/{collection}")
async def create(request: web.Request) -> web.Response:
    storage = request.app[STORAGE]
    storage.create(request.match_info["collection"], configuration.from_creation(await body_of(request), len(storage.peers)))
    return answer(request, True)


@routes.get("/collections/{collection}")
async def info(request: web.Request) -> web.Response:
    return answer(request, await asyncio.to_thread(collection_of(request).info))


@routes.patch("/collections/{collection}")
async def change(request: web.Request) -> web.Response:
    """Strict mode is kept and answered; nothing is limited by it."""
    collection, body = collection_of(request), await body_of(request)
    if set(body) != {"strict_mode_config"}:
        raise not_here(f"changing {sorted(body)} of a collection")
    collection.config["strict_mode_config"] = body["strict_mode_config"]
    collection.save()
    return answer(request, True)


@routes.get("/collections/{collection}/exists")
async def exists(request: web.Request) -> web.Response:
    storage = request.app[STORAGE]
    name = request.match_info["collection"]
    return answer(request, {"exists": name in storage.collections or name in storage.aliases})


@routes.delete("/collections/{collection}")
async def drop(request: web.Request) -> web.Response:
    storage = request.app[STORAGE]
    collection = storage.collections.get(request.match_info["collection"])
    if collection is None:
        return answer(request, False)
    async with AsyncExitStack() as held:
        for lock in collection.reading.values():
            await held.enter_async_context(lock)
        async with collection.writes:
            return answer(request, storage.drop(collection.name))


@routes.get("/collections/{collection}/cluster")
async def collection_cluster(request: web.Request) -> web.Response:
    collection, here = collection_of(request), request.app[PEER]
    local, remote = [], []
    for number, shard in collection.shards.by_id.items():
        for peer, state in collection.replicas_of(number).items():
            if peer == here:
                points = await asyncio.to_thread(shard.info)
                local.append({"shard_id": number, "points_count": points.points_count, "state": state})
            else:
                remote.append({"shard_id": number, "peer_id": peer, "state": state})
    counted = len(collection.shards.by_id)
    return answer(
        request, {"peer_id": here, "shard_count": counted, "local_shards": local, "remote_shards": remote, "shard_transfers": []}
    )


@routes.get("/collections/{collection}/optimizations")
async def optimizations(request: web.Request) -> web.Response:
    if request.app[FAULTS].hide_optimizations:
        raise web.HTTPNotFound
    collection = collection_of(request)
    segments = await asyncio.to_thread(collection.segments)
    running = [] if collection.optimization is None else [collection.optimization.listed(segments)]
    idle = 0 if running else len(segments)
    summary = {"queued_optimizations": 0, "queued_segments": 0, "queued_points": 0, "idle_segments": idle}
    return answer(request, {"summary": summary, "running": running})


@routes.put("/collections/{collection}/index")
async def create_index(request: web.Request) -> web.Response:
    collection, body = collection_of(request), await body_of(request)
    schema = body.get("field_schema") or body.get("field_type")
    await collection.write(lambda: collection.create_index(body["field_name"], schema))
    return updated(request)


@routes.delete("/collections/{collection}/index/{field}")
async def delete_index(request: web.Request) -> web.Response:
    collection = collection_of(request)
    await collection.write(lambda: collection.delete_index(request.match_info["field"]))
    return updated(request)


@routes.post("/collections/aliases")
async def change_aliases(request: web.Request) -> web.Response:
    request.app[STORAGE].change_aliases((await body_of(request))["actions"])
    return answer(request, True)


@routes.get("/aliases")
async def aliases(request: web.Request) -> web.Response:
    known = request.app[STORAGE].aliases
    return answer(request, {"aliases": [{"alias_name": alias, "collection_name": name} for alias, name in known.items()]})


@routes.get("/collections/{collection}/aliases")
async def collection_aliases(request: web.Request) -> web.Response:
    name = collection_of(request).name
    known = request.app[STORAGE].aliases.items()
    return answer(request, {"aliases": [{"alias_name": alias, "collection_name": name} for alias, target in known if target == name]})


