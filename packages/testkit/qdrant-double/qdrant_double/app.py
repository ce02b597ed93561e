"""The application: every route over one storage."""

from aiohttp import web

from . import routes_collections, routes_double, routes_points, routes_snapshots
from .faults import FAULTS, Faults
from .http import API_KEY, PEER, STORAGE, envelope
from .problem import not_found
from .storage import Storage

#: A server's limit for a JSON body; uploads are not held to it, since they are read in pieces.
MAX_BODY_BYTES = 32 << 20


async def unknown(request: web.Request) -> web.Response:
    raise not_found(f"the qdrant double does not implement {request.method} {request.path}")


def build(storage: Storage, faults: Faults, peer: int, api_key: str) -> web.Application:
    """One peer. All of them are over one storage: what a cluster agrees on and forwards is common here from the start."""
    app = web.Application(middlewares=[envelope], client_max_size=MAX_BODY_BYTES)
    app[STORAGE] = storage
    app[FAULTS] = faults
    app[PEER] = peer
    app[API_KEY] = api_key
    for module in (routes_collections, routes_points, routes_snapshots, routes_double):
        app.add_routes(module.routes)
    app.router.add_route("*", "/{path:.*}", unknown)
    return app
