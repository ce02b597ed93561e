"""What every route shares: the envelope, errors, the API key."""

import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .collection import Collection
from .problem import Problem, bad_request
from .storage import Storage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STORAGE = web.AppKey("storage", Storage)
API_KEY = web.AppKey("api_key", str)
#: Which of the peers answers.
PEER = web.AppKey("peer", int)

#: Answered without a key, as a server does.
OPEN_PATHS = {"/", "/healthz", "/readyz", "/livez"}


def answer(request: web.Request, result: Any, status: int = 200) -> web.Response:
    return web.json_response({"result": result, "status": "ok", "time": time.monotonic() - request["began"]}, status=status)


def updated(request: web.Request) -> web.Response:
    return answer(request, {"operation_id": 0, "status": "completed"})


async def body_of(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except json.JSONDecodeError as error:
        raise Problem(400, f"Format error in JSON body: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the body is no object")
    return body


def collection_of(request: web.Request) -> Collection:
    return request.app[STORAGE].find(request.match_info["collection"])


def is_true(request: web.Request, name: str, default: bool) -> bool:
    return {"true": True, "false": False}.get(request.query.get(name, ""), default)


def _has_key(request: web.Request, key: str) -> bool:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    given = request.headers.get("api-key", bearer)
    return hmac.compare_digest(given.encode(), key.encode())


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    request["began"] = time.monotonic()
    key = request.app[API_KEY]
    if key and request.path not in OPEN_PATHS and not _has_key(request, key):
        given = "api-key" in request.headers or "Authorization" in request.headers
        return web.Response(status=401, text="Invalid API key or JWT" if given else "Must provide an API key or an Authorization bearer token")
    try:
        return await handler(request)
    except Problem as problem:
        status, message = problem.status, problem.message
    except web.HTTPException:
        raise
    except KeyError as error:
        status, message = 400, f"Wrong input: {error} is missing"
    except (TypeError, ValueError) as error:
        status, message = 400, f"Wrong input: {error}"
    except Exception as error:  # the engine raises plain exceptions, nearly all about what was asked
        status, message = 400 if type(error) is Exception else 500, f"{error}"
    body = {"status": {"error": message}, "time": time.monotonic() - request["began"]}
    return web.json_response(body, status=status)
