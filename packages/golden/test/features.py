"""What the golden repository shows of the format: features.py RESTORE_PY REPOSITORY KEY_FILE. Prints it as JSON."""

import collections, importlib.util, json, struct, sys

restore_py, directory, key_file = sys.argv[1:4]
spec = importlib.util.spec_from_file_location("restore", restore_py)
restore = importlib.util.module_from_spec(spec)
spec.loader.exec_module(restore)
repository = restore.Repository(directory, lambda: open(key_file, "rb").read().strip())
repository.load_index()
found = collections.Counter(name.split("/")[0] for name in repository.names("") if "/" in name)
found["config"] = 1

for kind in ("packs", "index", "backups", "tails", "points", "proofs", "holds", "records", "changes", "leases", "condemned"):
    for name in repository.names(kind):
        epoch, _ = repository.header(name, repository.read(name), kind)
        found[f"epoch {epoch}"] += 1
for name in repository.names("keys"):
    _, slot, _ = restore.two_lines(name, repository.read(name))
    found[f"slot {slot['method']} {slot['type']}"] += 1
for name, change in repository.documents("changes"):
    found[f"change {change['change']}"] += 1
for name in repository.names("index"):
    found["superseded indexes"] += struct.unpack_from(">I", repository.open("index", name, ""))[0]
for (kind,) in repository.table.execute("select type from chunks"):
    found[f"chunk type {kind}"] += 1

for name, manifest in repository.documents("backups"):
    found[f"backup {manifest['figures']['type']}"] += 1
    found[f"kind {manifest['figures']['kind']}"] += 1
    for chunk in manifest["tree"]:
        data, at = repository.chunk(name, bytes.fromhex(chunk), of_tree=True), 0
        found["tree chunks"] += 1
        while at < len(data):
            kind, length = struct.unpack_from(">BI", data, at)
            payload, at = data[at + 5:at + 5 + length], at + 5 + length
            found[f"item {kind}"] += 1
            if kind == 1:
                entry = json.loads(payload)
                found[f"entry {entry['type']}"] += 1
                for field in ("offset", "xattrs", "uid"):
                    found[f"entries with {field}"] += field in entry
                if entry["type"] == "file":
                    found[f"hint {entry['hint'].split(':')[0]}"] += 1
            block = 0
            while kind == 2 and block < length:
                found["blocks of several extents" if payload[block] > 1 else "blocks of one extent"] += 1
                found["extents within a chunk"] += struct.unpack_from(">I", payload, block + 33)[0] > 0
                block += 1 + payload[block] * 40
print(json.dumps(found, indent=1, sort_keys=True))
