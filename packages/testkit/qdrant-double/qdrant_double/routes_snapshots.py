"""Collection snapshots, streamed shard snapshots, and the ways back from both."""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp import web

from . import collection_tar, configuration, shard_tar
from .collection import Collection
from .faults import FAULTS
from .http import STORAGE, answer, body_of, collection_of, is_true
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
    path = request.app[STORAGE].snapshots_of(collection_of(request).name) / name
    if "/" in name or not name.endswith(".snapshot") or not path.is_file():
        raise not_found(f"Snapshot {name}")
    return path


@asynccontextmanager
async def frozen(storage: Storage, collection: Collection) -> AsyncIterator[Path]:
    """A copy of the shard, fixed between two writes. The caller holds `reading`."""
    copy = storage.temporary()
    try:
        async with collection.writes:
            await asyncio.to_thread(collection.copy, copy)
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


@routes.get("/collections/{collection}/snapshots")
async def list_snapshots(request: web.Request) -> web.Response:
    directory = request.app[STORAGE].snapshots_of(collection_of(request).name)
    return answer(request, [_describe(path) for path in sorted(directory.glob("*.snapshot"))])


@routes.post("/collections/{collection}/snapshots")
async def create_snapshot(request: web.Request) -> web.Response:
    storage, collection = request.app[STORAGE], collection_of(request)

    async def create() -> dict[str, Any]:
        async with collection.reading, frozen(storage, collection) as copy:
            stamp = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime())
            directory = storage.snapshots_of(collection.name)
            directory.mkdir(parents=True, exist_ok=True)
            target = directory / f"{collection.name}-{shard_tar.PEER_ID}-{stamp}.snapshot"
            built = storage.temporary()
            await asyncio.to_thread(collection_tar.write, copy, collection.config, collection.schema, built)
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
async def uploaded(request: web.Request) -> AsyncIterator[Path]:
    """The multipart field `snapshot`, on disk, held against the checksum that was asked for."""
    target = request.app[STORAGE].temporary()
    try:
        part = await (await request.multipart()).next()
        if not isinstance(part, aiohttp.BodyPartReader) or part.name != "snapshot":
            raise bad_request("the multipart field `snapshot` is missing")
        with open(target, "wb") as out:
            while data := await part.read_chunk(PIECE_BYTES):
                out.write(data)
        await _expect_checksum(target, request.query.get("checksum"))
        yield target
    finally:
        target.unlink(missing_ok=True)


async def _expect_checksum(path: Path, wanted: str | None) -> None:
    if wanted is not None and wanted != (found := await asyncio.to_thread(_sha256, path)):
        raise bad_request(f"Snapshot checksum mismatch: expected {wanted}, got {found}")


async def _take_into_collection(storage: Storage, name: str, snapshot: Path) -> None:
    """A collection that is missing is created from the snapshot; in one that is there the content is replaced."""
    unpacked = storage.temporary()
    try:
        config, schema = await asyncio.to_thread(collection_tar.read, snapshot, unpacked)
        collection = storage.collections.get(name)
        if collection is None:
            collection = storage.create(name, config)
            collection.meta["schema"] = schema
        elif configuration.comparable_vectors(collection.config) != configuration.comparable_vectors(config):
            raise bad_request("Snapshot is not compatible with existing collection: the vectors differ")
        await _take_shard(collection, unpacked)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


async def _take_shard(collection: Collection, unpacked: Path) -> None:
    target = collection.directory / f"shard-{unpacked.name}"
    async with collection.reading, collection.writes:
        os.replace(unpacked, target)
        await asyncio.to_thread(collection.replace_shard, target)


@routes.post("/collections/{collection}/snapshots/upload")
async def upload_snapshot(request: web.Request) -> web.Response:
    async with uploaded(request) as snapshot:
        await _take_into_collection(request.app[STORAGE], request.match_info["collection"], snapshot)
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
        await _take_into_collection(storage, request.match_info["collection"], path)
    finally:
        fetched.unlink(missing_ok=True)
    return answer(request, True)


def _only_shard(request: web.Request) -> Collection:
    collection = collection_of(request)
    if request.match_info["shard"] != "0":
        raise not_found(f"Shard {request.match_info['shard']}")
    return collection


@routes.post("/collections/{collection}/shards/{shard}/snapshots/upload")
async def upload_shard(request: web.Request) -> web.Response:
    storage, collection = request.app[STORAGE], _only_shard(request)
    async with uploaded(request) as snapshot:
        unpacked = storage.temporary()
        try:
            await asyncio.to_thread(shard_tar.unpack, snapshot, unpacked)
            await _take_shard(collection, unpacked)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    return answer(request, True)


@routes.get("/collections/{collection}/shards/{shard}/snapshot")
async def stream_shard(request: web.Request) -> web.StreamResponse:
    """Headers first, which prove nothing; the content is fixed when the first entry under `segments/` is sent."""
    storage, faults, collection = request.app[STORAGE], request.app[FAULTS], _only_shard(request)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"")
    async with collection.reading:
        if faults.manifest_first:
            await response.write(bytes_entry("segments_manifest.json", b"{}"))
        await asyncio.sleep(faults.fix_delay_ms / 1000)
        with SpooledTemporaryFile(HELD_BYTES, dir=storage.root / "tmp") as tar:
            async with collection.writes:
                await asyncio.to_thread(_write_shard, storage, collection, tar)
            await _send(response, tar, faults.truncate_after_bytes)
    await response.write_eof()
    return response


def _write_shard(storage: Storage, collection: Collection, tar: IO[bytes]) -> None:
    """The shard's tar at this moment; while an optimization runs, without the deletes since it began."""
    collection.shard.flush()
    if collection.optimization is None or not collection.optimization.deleted:
        tar.writelines(shard_tar.entries(collection.path))
        return
    copy = storage.temporary()
    try:
        collection.copy(copy)
        collection.optimization.bring_back(copy)
        tar.writelines(shard_tar.entries(copy))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


async def _send(response: web.StreamResponse, tar: IO[bytes], at_most: int | None) -> None:
    left = tar.tell() if at_most is None else at_most
    tar.seek(0)
    while data := tar.read(min(PIECE_BYTES, left)):
        await response.write(data)
        left -= len(data)
