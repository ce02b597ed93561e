"""Filters of the REST API as the engine's."""

from typing import Any

from qdrant_edge import (
    FieldCondition,
    Filter,
    HasIdCondition,
    HasVectorCondition,
    IsEmptyCondition,
    IsNullCondition,
    MatchAny,
    MatchExcept,
    MatchText,
    MatchValue,
    NestedCondition,
    RangeDateTime,
    RangeFloat,
)

from .problem import bad_request, not_here


def to_filter(body: dict[str, Any] | None) -> Filter | None:
    if not body:
        return None
    unknown = set(body) - {"must", "should", "must_not"}
    if unknown:
        raise not_here(f"the filter clause {', '.join(sorted(unknown))}")
    return Filter(**{clause: [to_condition(each) for each in _listed(conditions)] for clause, conditions in body.items() if conditions is not None})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def to_condition(body: dict[str, Any]) -> Any:
    if "has_id" in body:
        return HasIdCondition(set(body["has_id"]))
    if "has_vector" in body:
        return HasVectorCondition(body["has_vector"])
    if "is_empty" in body:
        return IsEmptyCondition(body["is_empty"]["key"])
    if "is_null" in body:
        return IsNullCondition(body["is_null"]["key"])
    if "nested" in body:
        return NestedCondition(body["nested"]["key"], to_filter(body["nested"]["filter"]) or Filter())
    if "key" in body:
        return _field(body)
    if {"must", "should", "must_not"} & set(body):
        return to_filter(body)
    raise not_here(f"the condition {sorted(body)}")


def _field(body: dict[str, Any]) -> FieldCondition:
    given: dict[str, Any] = {}
    for name, value in body.items():
        if name == "key" or value is None:
            continue
        if name == "match":
            given["match"] = _match(value)
        elif name == "range":
            given["range"] = _range(value)
        elif name in ("is_empty", "is_null"):
            given[name] = value
        else:
            raise not_here(f"the field condition {name}")
    return FieldCondition(body["key"], **given)


def _match(body: dict[str, Any]) -> Any:
    if "value" in body:
        return MatchValue(body["value"])
    if "any" in body:
        return MatchAny(body["any"])
    if "except" in body:
        return MatchExcept(body["except"])
    if "text" in body:
        return MatchText(body["text"])
    raise not_here(f"the match {sorted(body)}")


def _range(body: dict[str, Any]) -> Any:
    bounds = {name: value for name, value in body.items() if value is not None}
    if not set(bounds) <= {"gt", "gte", "lt", "lte"}:
        raise bad_request(f"a range has gt, gte, lt and lte, not {sorted(bounds)}")
    return RangeDateTime(**bounds) if any(isinstance(value, str) for value in bounds.values()) else RangeFloat(**bounds)
