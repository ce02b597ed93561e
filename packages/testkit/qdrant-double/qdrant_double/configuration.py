"""A collection's configuration: the JSON that a server keeps and answers, and what the engine makes of it."""

from typing import Any

import qdrant_edge as edge

from .problem import bad_request, not_here

HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False}
OPTIMIZER = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
    "prevent_unoptimized": None,
}
WAL = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}

DATATYPES = {
    "float32": edge.VectorStorageDatatype.Float32,
    "float16": edge.VectorStorageDatatype.Float16,
    "uint8": edge.VectorStorageDatatype.Uint8,
}


def _given(body: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (body or {}).items() if value is not None}


def from_creation(body: dict[str, Any], peers: int) -> dict[str, Any]:
    """config.json of a collection that is created with this body. A server makes as many shards as it has peers, if not told."""
    if body.get("sharding_method") not in (None, "auto"):
        raise not_here("custom sharding")
    params: dict[str, Any] = {
        "vectors": body.get("vectors") or {},
        "shard_number": body.get("shard_number") or peers,
        "replication_factor": body.get("replication_factor") or 1,
        "write_consistency_factor": 1,
        "on_disk_payload": body.get("on_disk_payload") is not False,
    }
    if body.get("sparse_vectors") is not None:
        params["sparse_vectors"] = body["sparse_vectors"]
    config: dict[str, Any] = {
        "params": params,
        "hnsw_config": HNSW | _given(body.get("hnsw_config")),
        "optimizer_config": OPTIMIZER | _given(body.get("optimizers_config")),
        "wal_config": WAL | _given(body.get("wal_config")),
        "quantization_config": body.get("quantization_config"),
    }
    for name in ("strict_mode_config", "metadata"):
        if body.get(name) is not None:
            config[name] = body[name]
    return config


def _dense(body: dict[str, Any]) -> edge.EdgeVectorParams:
    if body.get("multivector_config") is not None:
        raise not_here("multivectors")
    distance = getattr(edge.Distance, str(body.get("distance")), None)
    if not isinstance(body.get("size"), int) or distance is None:
        raise bad_request("a vector has a size and a distance: Cosine, Euclid, Dot or Manhattan")
    datatype = DATATYPES[body["datatype"]] if body.get("datatype") else None
    return edge.EdgeVectorParams(body["size"], distance, on_disk=body.get("on_disk"), datatype=datatype)


def _sparse(body: dict[str, Any]) -> edge.EdgeSparseVectorParams:
    modifier = {None: None, "none": None, "idf": edge.Modifier.Idf}[(body or {}).get("modifier")]
    return edge.EdgeSparseVectorParams(modifier=modifier)


def to_edge(config: dict[str, Any]) -> edge.EdgeConfig:
    """Quantization is kept in the configuration and not given to the engine."""
    params = config["params"]
    vectors = params["vectors"]
    dense = {"": _dense(vectors)} if "size" in vectors else {name: _dense(each) for name, each in vectors.items()}
    sparse = {name: _sparse(each) for name, each in (params.get("sparse_vectors") or {}).items()}
    return edge.EdgeConfig(vectors=dense, sparse_vectors=sparse, on_disk_payload=params.get("on_disk_payload"))


def comparable(config: dict[str, Any]) -> dict[str, Any]:
    """What must agree for a snapshot to be taken into a collection: sizes, distances and the number of shards."""
    params = config["params"]
    named = {"": params["vectors"]} if "size" in params["vectors"] else params["vectors"]
    return {
        "dense": {name: (each["size"], each["distance"]) for name, each in named.items()},
        "sparse": sorted(params.get("sparse_vectors") or {}),
        "shards": params["shard_number"],
    }


def nearest_is_low(config: dict[str, Any], using: str | None) -> bool:
    """Whether the nearest points have the lowest scores: a distance, or a likeness."""
    vectors = config["params"]["vectors"]
    vector = vectors if "size" in vectors else vectors.get(using or "", {})
    return vector.get("distance") in ("Euclid", "Manhattan")


INDEX_TYPES = {
    "keyword": (edge.PayloadSchemaType.Keyword, edge.KeywordIndexParams),
    "integer": (edge.PayloadSchemaType.Integer, edge.IntegerIndexParams),
    "float": (edge.PayloadSchemaType.Float, edge.FloatIndexParams),
    "bool": (edge.PayloadSchemaType.Bool, edge.BoolIndexParams),
    "datetime": (edge.PayloadSchemaType.Datetime, edge.DatetimeIndexParams),
    "uuid": (edge.PayloadSchemaType.Uuid, edge.UuidIndexParams),
    "geo": (edge.PayloadSchemaType.Geo, edge.GeoIndexParams),
    "text": (edge.PayloadSchemaType.Text, None),
}


def to_index(schema: Any) -> Any:
    """A payload index: a type's name, or an object with `type` and parameters."""
    name = schema if isinstance(schema, str) else schema.get("type")
    if name not in INDEX_TYPES:
        raise bad_request(f"unknown payload index {name!r}")
    plain, with_params = INDEX_TYPES[name]
    params = {} if isinstance(schema, str) else {key: value for key, value in _given(schema).items() if key != "type"}
    if not params:
        return plain
    if with_params is None:
        raise not_here(f"parameters of a payload index of type {name}")
    return with_params(**params)


def index_info(schema: Any, points: int) -> dict[str, Any]:
    if isinstance(schema, str):
        return {"data_type": schema, "points": points}
    return {"data_type": schema["type"], "params": schema, "points": points}
