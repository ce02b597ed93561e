"""What a server holds: collections, aliases, and the files of snapshots."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from .collection import META, Collection, write_json
from .problem import bad_request, not_found

FORBIDDEN = '<>:"/\\|?*\0\x1f'


class Storage:
    def __init__(self, root: Path, peers: list[int]):
        self.root = root
        self.peers = peers
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}
        #: What was uploaded since the start: a test looks at how.
        self.uploads: list[dict[str, Any]] = []

    @classmethod
    def open(cls, root: Path, peers: list[int]) -> "Storage":
        storage = cls(root, peers)
        shutil.rmtree(root / "tmp", ignore_errors=True)
        for part in ("collections", "snapshots", "tmp"):
            (root / part).mkdir(parents=True, exist_ok=True)
        if (root / "aliases.json").exists():
            storage.aliases = json.loads((root / "aliases.json").read_text())
        for directory in sorted((root / "collections").iterdir()):
            if (directory / META).exists():
                collection = Collection.load(directory)
                storage.collections[collection.name] = collection
            else:
                shutil.rmtree(directory)  # killed before it was created
        return storage

    def temporary(self) -> Path:
        """A path that nothing has yet; what lies there is gone after a restart."""
        return self.root / "tmp" / uuid4().hex

    def directory_of(self, name: str) -> Path:
        if not name or any(character in name for character in FORBIDDEN):
            raise bad_request(f"{name!r} is no valid collection name")
        return self.root / "collections" / quote(name, safe="").replace(".", "%2E")

    def snapshots_of(self, name: str, peer: int) -> Path:
        return self.root / "snapshots" / str(peer) / quote(name, safe="").replace(".", "%2E")

    def find(self, name: str) -> Collection:
        collection = self.collections.get(self.aliases.get(name, name))
        if collection is None:
            raise not_found(f"Collection `{name}` doesn't exist!")
        return collection

    def create(self, name: str, config: dict[str, Any]) -> Collection:
        if name in self.collections or name in self.aliases:
            raise bad_request(f"Collection `{name}` already exists!")
        directory = self.directory_of(name)
        shutil.rmtree(directory, ignore_errors=True)
        collection = Collection.create(name, directory, config, self.peers)
        self.collections[name] = collection
        return collection

    def drop(self, name: str) -> bool:
        collection = self.collections.pop(name, None)
        if collection is None:
            return False
        (collection.directory / META).unlink()
        collection.close()
        shutil.rmtree(collection.directory)
        self.set_aliases({alias: target for alias, target in self.aliases.items() if target != name})
        return True

    def set_aliases(self, aliases: dict[str, str]) -> None:
        if aliases != self.aliases:
            write_json(self.root / "aliases.json", aliases)
            self.aliases = aliases

    def change_aliases(self, actions: list[dict[str, Any]]) -> None:
        """All or none, in order."""
        aliases = dict(self.aliases)
        for action in actions:
            if "create_alias" in action:
                wanted = action["create_alias"]
                if wanted["collection_name"] not in self.collections:
                    raise not_found(f"Collection `{wanted['collection_name']}` doesn't exist!")
                aliases[wanted["alias_name"]] = wanted["collection_name"]
            elif "delete_alias" in action:
                aliases.pop(action["delete_alias"]["alias_name"], None)
            elif "rename_alias" in action:
                renamed = action["rename_alias"]
                if renamed["old_alias_name"] not in aliases:
                    raise not_found(f"Alias `{renamed['old_alias_name']}`")
                aliases[renamed["new_alias_name"]] = aliases.pop(renamed["old_alias_name"])
            else:
                raise bad_request(f"unknown alias action {sorted(action)}")
        self.set_aliases(aliases)

    def close(self) -> None:
        for collection in self.collections.values():
            collection.close()
