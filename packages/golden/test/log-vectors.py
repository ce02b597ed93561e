"""The vectors of shipped logs, against restore.py and what docs/repository-format.md says: log-vectors.py RESTORE_PY VECTORS."""

import base64, hashlib, os, tempfile, uuid
from pathlib import Path
from judged import equal, restore, say_all_fit, vectors


def gap_id(gap):
    words = [gap["plan"], gap["source"], *(f"{at['stream']}@{at['at']}" if (at := gap.get(end)) else "" for end in ("after", "until"))]
    hashed = bytearray(6) + hashlib.sha256("\n".join(words).encode()).digest()[:10]
    hashed[6], hashed[8] = hashed[6] & 0x0F | 0x80, hashed[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(hashed)))


def stretch_id(of, log):
    stretch = f"{log['stream']}_{log['from']}_{log['to']}"
    whole = f"{of['plan']}_{of['source']}_{stretch}_{of['fenceToken']}"
    short = hashlib.sha256(stretch.encode()).hexdigest()[:20]
    return whole if len(whole) <= 120 else f"{of['plan']}_{of['source']}_{short}_{of['fenceToken']}"


def laid(repository, root, read):
    into = restore.Destination(root, False)
    kind = {"orders": "postgres", "graph": "neo4j"}[read["source"]]
    for name in (f"backups/{read['base']}", *read["objects"]):
        backup = name.split("/", 1)[1]
        if name.startswith("tails/"):
            restore.LOGS[kind][0](into, *repository_log.tail(name))
            continue
        into.add(repository.tree(backup), lambda chunk: repository.chunk(name, chunk), restore.Progress(0))
        restore.LOGS[kind][1](into)
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return sorted(f"{path.relative_to(root)} {path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)


with tempfile.TemporaryDirectory() as directory:
    root = os.path.join(directory, "repository")
    for name, text in vectors["objects"].items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(text))
    repository = restore.Repository(root, lambda: vectors["passphrase"].encode())
    repository.load_index()
    records = dict(repository.documents("records"))
    for vector in vectors["gaps"]:
        equal("a gap's id", gap_id(vector["gap"]), vector["recordId"])
        record = records[f"records/{vector['recordId']}"]
        equal("a gap's record", (record["recordId"], record["type"], record["detail"]), (vector["recordId"], "gap", vector["gap"]))
    for vector in vectors["ids"]:
        equal("a closed stretch's id", stretch_id(vector["of"], vector["range"]), vector["backupId"])
    for name, manifest in repository.documents("backups"):
        if manifest["figures"]["type"] == "log":
            of = {"plan": "shop", "source": manifest["figures"]["source"], "fenceToken": name.rsplit("_", 1)[1]}
            equal("the id of one that is stored", f"backups/{stretch_id(of, manifest['figures']['log'])}", name)
    for n, read in enumerate(vectors["reads"]):
        repository_log = restore.SourceLog(repository, "shop", read["source"])
        base = repository.document("backups", f"backups/{read['base']}")["figures"]["log"]
        way = repository_log.way(base, read["place"]["stream"], read["place"]["at"])
        names = "hole" if way is None else [name if name.startswith("tails/") else f"backups/{name}" for name in way[0]]
        equal(f"what {read['place']} is read from", names, read["objects"])
        if way is not None:
            equal(f"what is laid for {read['place']}", laid(repository, os.path.join(directory, str(n)), read), read["laid"])
say_all_fit()
