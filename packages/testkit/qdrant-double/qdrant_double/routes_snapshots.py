"""Collection snapshots, streamed shard snapshots, and the ways back from both."""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiohttp
from aiohttp import web

from . import collection_tar, configuration, shard_tar
from .collection import Collection
from .faults import FAULTS
from .http import PEER, STORAGE, answer, body_of, collection_of, is_true
from .problem import Problem, bad_request, not_found
from .sparse_tar import bytes_entry
from .storage import Storage

routes = web.RouteTableDef()

PIECE_BYTES = 1 << 18
#: A stream's content up to this size is held in memory, a larger one on disk.
HELD_BYTES = 64 << 20


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(path: Path) -> dict[str, Any]:
    stat = path.stat()
    checksum = path.with_name(f"{path.name}.checksum")
    return {
        "name": path.name,
        "creation_time": datetime.fromtimestamp(stat.st_mtime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"),
        "size": stat.st_size,
        "checksum": checksum.read_text() if checksum.exists() else None,
    }


def _snapshot_file(request: web.Request) -> Path:
    name = request.match_info["snapshot"]
    path = request.app[STORAGE].snapshots_of(collection_of(request).name, request.app[PEER]) / name
    if "/" in name or not name.endswith(".snapshot") or not path.is_file():
        raise not_found(f"Snapshot {name}")
    return path


@asynccontextmanager
async def frozen(storage: Storage, collection: Collection, numbers: list[int]) -> AsyncIterator[dict[int, Path]]:
    """Copies of the shards, each fixed between two writes: every shard has a moment of its own, as on a server."""
    directory = storage.temporary()
    copies = {number: directory / str(number) for number in numbers}
    try:
        async with AsyncExitStack() as held:
            for number in numbers:
                await held.enter_async_context(collection.reading[number])
            for number, copy in copies.items():
                async with collection.writes:
                    await asyncio.to_thread(collection.copy, number, copy)
            yield copies
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@routes.get("/collections/{collection}/snapshots")
async def list_snapshots(request: web.Request) -> web.Response:
    directory = request.app[STORAGE].snapshots_of(collection_of(request).name, request.app[PEER])
    return answer(request, [_describe(path) for path in sorted(directory.glob("*.snapshot"))])


@routes.post("/collections/{collection}/snapshots")
async def create_snapshot(request: web.Request) -> web.Response:
    storage, collection, peer = request.app[STORAGE], collection_of(request), request.app[PEER]

    async def create() -> dict[str, Any]:
        states = {number: shard_tar.replica_state(collection.replicas_of(number), peer) for number in collection.shards.by_id}
        async with frozen(storage, collection, collection.shards_on(peer)) as copies:
            stamp = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime())
            directory = storage.snapshots_of(collection.name, peer)
            directory.mkdir(parents=True, exist_ok=True)
            target = directory / f"{collection.name}-{peer}-{stamp}.snapshot"
            built = storage.temporary()
            await asyncio.to_thread(collection_tar.write, copies, states, collection.config, collection.schema, built)
            target.with_name(f"{target.name}.checksum").write_text(await asyncio.to_thread(_sha256, built))
            os.replace(built, target)
            await asyncio.sleep(request.app[FAULTS].snapshot_delay_ms / 1000)
            return _describe(target)

    # A server goes on with the job when the client goes away.
    job = asyncio.create_task(create())
    if not is_true(request, "wait", True):
        return web.json_response({"result": None, "status": "accepted", "time": 0.0}, status=202)
    return answer(request, await asyncio.shield(job))


@routes.get("/collections/{collection}/snapshots/{snapshot}")
async def download_snapshot(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_snapshot_file(request))


@routes.delete("/collections/{collection}/snapshots/{snapshot}")
async def delete_snapshot(request: web.Request) -> web.Response:
    path = _snapshot_file(request)
    path.unlink()
    path.with_name(f"{path.name}.checksum").unlink(missing_ok=True)
    return answer(request, True)


@asynccontextmanager
async def uploaded(request: web.Request) -> AsyncIterator[tuple[Path, str]]:
    """The multipart field `snapshot`, on disk, held against the checksum that was asked for; and its file's name."""
    storage = request.app[STORAGE]
    target = storage.temporary()
    try:
        part = await (await request.multipart()).next()
        if not isinstance(part, aiohttp.BodyPartReader) or part.name != "snapshot":
            raise bad_request("the multipart field `snapshot` is missing")
        with open(target, "wb") as out:
            while data := await part.read_chunk(PIECE_BYTES):
                out.write(data)
        await _expect_checksum(target, request.query.get("checksum"))
        name = Path(part.filename or uuid4().hex).name
        storage.uploads.append({"path": request.path, "query": dict(request.query), "file": name, "peer": request.app[PEER]})
        yield target, name
    finally:
        target.unlink(missing_ok=True)


async def _expect_checksum(path: Path, wanted: str | None) -> None:
    if wanted is not None and wanted != (found := await asyncio.to_thread(_sha256, path)):
        raise bad_request(f"Snapshot checksum mismatch: expected {wanted}, got {found}")


async def _take_into_collection(storage: Storage, name: str, snapshot: Path, peer: int) -> None:
    """A collection that is missing is created from the snapshot; in one that is there the content of the peer's shards is replaced."""
    unpacked = storage.temporary()
    try:
        config, schema = await asyncio.to_thread(collection_tar.read, snapshot, unpacked)
        missing = [number for number in range(config["params"]["shard_number"]) if not (unpacked / str(number)).is_dir()]
        if missing and len(storage.peers) == 1:
            raise Problem(500, f"Service internal error: Can't restore snapshot in local mode with missing data at shard: {missing}")
        collection = storage.collections.get(name)
        if collection is None:
            collection = storage.create(name, config)
            collection.meta["schema"] = schema
        elif configuration.comparable(collection.config) != configuration.comparable(config):
            raise bad_request("Snapshot is not compatible with existing collection: the vectors or the number of shards differ")
        for number in collection.shards_on(peer):
            if number not in missing:
                await _take_shard(collection, number, unpacked / str(number))
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


async def _take_shard(collection: Collection, number: int, unpacked: Path) -> None:
    target = collection.directory / f"shard-{uuid4().hex}"
    async with collection.reading[number], collection.writes:
        os.replace(unpacked, target)
        await asyncio.to_thread(collection.replace_shard, number, target)


def _refuse_if_asked(request: web.Request) -> None:
    if request.app[FAULTS].refuse_uploads > 0:
        request.app[FAULTS].refuse_uploads -= 1
        raise Problem(500, "Service internal error: the snapshot cannot be loaded (imitated)")


@routes.post("/collections/{collection}/snapshots/upload")
async def upload_snapshot(request: web.Request) -> web.Response:
    """What was uploaded stays among the collection's snapshots, also when it cannot be loaded: as on a server."""
    storage, peer, name = request.app[STORAGE], request.app[PEER], request.match_info["collection"]
    async with uploaded(request) as (snapshot, file):
        kept = storage.snapshots_of(name, peer) / file
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(snapshot, kept)
        _refuse_if_asked(request)
        await _take_into_collection(storage, name, kept, peer)
    return answer(request, True)


@routes.put("/collections/{collection}/snapshots/recover")
async def recover_snapshot(request: web.Request) -> web.Response:
    storage, body = request.app[STORAGE], await body_of(request)
    location = urlsplit(body["location"])
    fetched = storage.temporary()
    try:
        if location.scheme == "file":
            path = Path(unquote(location.path)).resolve()
            if not path.is_relative_to((storage.root / "snapshots").resolve()):
                raise Problem(403, "Forbidden: a file location must lie in the snapshots directory")
        else:
            path = fetched
            headers = {"api-key": body["api_key"]} if body.get("api_key") else {}
            async with aiohttp.ClientSession() as session, session.get(body["location"], headers=headers) as response:
                if response.status != 200:
                    raise bad_request(f"{body['location']} answered {response.status}")
                with open(fetched, "wb") as out:
                    async for data in response.content.iter_chunked(PIECE_BYTES):
                        out.write(data)
        await _expect_checksum(path, body.get("checksum"))
        await _take_into_collection(storage, request.match_info["collection"], path, request.app[PEER])
    finally:
        fetched.unlink(missing_ok=True)
    return answer(request, True)


def _local_shard(request: web.Request) -> tuple[Collection, int]:
    collection, text = collection_of(request), request.match_info["shard"]
    number = int(text) if text.isdigit() else -1
    if number not in collection.shards.by_id:
        raise not_found(f"Shard {text}")
    if request.app[PEER] not in collection.replicas_of(number):
        raise bad_request(f"Shard {number} is not a local shard")
    return collection, number


@routes.post("/collections/{collection}/shards/{shard}/snapshots/upload")
async def upload_shard(request: web.Request) -> web.Response:
    storage, (collection, number) = request.app[STORAGE], _local_shard(request)
    async with uploaded(request) as (snapshot, _):
        _refuse_if_asked(request)
        unpacked = storage.temporary()
        try:
            await asyncio.to_thread(shard_tar.unpack, snapshot, unpacked)
            await _take_shard(collection, number, unpacked)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    return answer(request, True)


@routes.get("/collections/{collection}/shards/{shard}/snapshot")
async def stream_shard(request: web.Request) -> web.StreamResponse:
    """Headers first, which prove nothing; the content is fixed when the first entry under `segments/` is sent."""
    storage, faults, (collection, number) = request.app[STORAGE], request.app[FAULTS], _local_shard(request)
    state = shard_tar.replica_state(collection.replicas_of(number), request.app[PEER])
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"")
    async with collection.reading[number]:
        if faults.manifest_first:
            await response.write(bytes_entry("segments_manifest.json", b"{}"))
        await asyncio.sleep(faults.fix_delay_ms / 1000)
        with SpooledTemporaryFile(HELD_BYTES, dir=storage.root / "tmp") as tar:
            async with collection.writes:
                await asyncio.to_thread(_write_shard, storage, collection, number, state, tar)
            await _send(response, tar, faults.truncate_after_bytes)
    await response.write_eof()
    return response


def _write_shard(storage: Storage, collection: Collection, number: int, state: bytes, tar: IO[bytes]) -> None:
    """The shard's tar at this moment; while an optimization runs, without the deletes since it began."""
    collection.shards.by_id[number].flush()
    if collection.optimization is None or not collection.optimization.has_deleted(number):
        tar.writelines(shard_tar.entries(collection.path_of(number), state))
        return
    copy = storage.temporary()
    try:
        collection.copy(number, copy)
        collection.optimization.bring_back(number, copy)
        tar.writelines(shard_tar.entries(copy, state))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


async def _send(response: web.StreamResponse, tar: IO[bytes], at_most: int | None) -> None:
    left = tar.tell() if at_most is None else at_most
    tar.seek(0)
    while data := tar.read(min(PIECE_BYTES, left)):
        await response.write(data)
        left -= len(data)
