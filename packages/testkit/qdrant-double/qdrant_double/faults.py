"""What a test asks the double to do wrong. Everything is off until `POST /double/faults` or an optimization says so."""

from dataclasses import dataclass

from aiohttp import web


@dataclass
class Faults:
    #: A shard stream sends its headers, and fixes its content this much later.
    fix_delay_ms: int = 0
    #: A shard stream sends an entry that is none of its segments before it fixes its content, as 1.19 can.
    manifest_first: bool = False
    #: A shard stream ends cleanly, with status 200, after so many bytes.
    truncate_after_bytes: int | None = None
    #: The server is one that has no list of optimizations.
    hide_optimizations: bool = False
    #: A classic snapshot answers so much later than it is fixed.
    snapshot_delay_ms: int = 0
    #: So many snapshots that are uploaded cannot be loaded.
    refuse_uploads: int = 0
    #: The version that the server says it is.
    version: str | None = None


FAULTS = web.AppKey("faults", Faults)
