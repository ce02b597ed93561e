"""Under /double: what no Qdrant server has. Tests imitate its flaw and its failures here."""

import asyncio
from dataclasses import asdict, fields, replace

from aiohttp import web

from .faults import FAULTS, Faults
from .flaw import Optimization
from .http import STORAGE, answer, body_of
from .problem import Problem, bad_request

routes = web.RouteTableDef()


@routes.get("/double/faults")
async def show_faults(request: web.Request) -> web.Response:
    return answer(request, asdict(request.app[FAULTS]))


@routes.post("/double/faults")
async def set_faults(request: web.Request) -> web.Response:
    body = await body_of(request)
    unknown = set(body) - {each.name for each in fields(Faults)}
    if unknown:
        raise bad_request(f"no such fault: {', '.join(sorted(unknown))}")
    faults = request.app[FAULTS]
    for name, value in asdict(replace(faults, **body)).items():
        setattr(faults, name, value)
    return answer(request, asdict(faults))


@routes.post("/double/collections/{collection}/optimization")
async def begin_optimization(request: web.Request) -> web.Response:
    """`{durationMs?}`: it runs so long, or until it is deleted."""
    body = await body_of(request) if request.can_read_body else {}
    collection = request.app[STORAGE].find(request.match_info["collection"])
    async with collection.writes:
        if collection.optimization is not None:
            raise Problem(409, "an optimization runs already")
        optimization = collection.optimization = Optimization()

    def end() -> None:
        if collection.optimization is optimization:
            collection.optimization = None

    if body.get("durationMs") is not None:
        asyncio.get_running_loop().call_later(body["durationMs"] / 1000, end)
    return answer(request, {"uuid": optimization.uuid})


@routes.delete("/double/collections/{collection}/optimization")
async def end_optimization(request: web.Request) -> web.Response:
    collection = request.app[STORAGE].find(request.match_info["collection"])
    async with collection.writes:
        ended, collection.optimization = collection.optimization, None
    return answer(request, ended is not None)


@routes.get("/double/uploads")
async def show_uploads(request: web.Request) -> web.Response:
    """Every snapshot that was uploaded since the start, with the query it came with."""
    return answer(request, request.app[STORAGE].uploads)


@routes.post("/double/collections/{collection}/replica")
async def set_replica(request: web.Request) -> web.Response:
    """`{shard, peer, state}`: a replica of a shard is in another state, such as `Dead`."""
    collection, body = request.app[STORAGE].find(request.match_info["collection"]), await body_of(request)
    collection.meta["replicas"][str(body["shard"])][str(body["peer"])] = body["state"]
    collection.save()
    return answer(request, True)
