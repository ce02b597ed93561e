"""Every vector of the format, against restore.py and what docs/repository-format.md says: vectors.py RESTORE_PY VECTORS."""

import base64, hashlib, hmac, json, os, struct, tempfile
from judged import equal, refused, restore, say_all_fit, vectors

derived = vectors["derived"]


def put(root, name, data):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def noise(seed, length):
    """The body whose cuts are in the vectors: xorshift, 32 bits."""
    state, words = (seed * 2654435761 + 1) & 0xFFFFFFFF, []
    for _ in range(-(-length // 4)):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        words.append(state)
    return struct.pack(f"<{len(words)}I", *words)[:length]


def cuts(body, gear, chunking):
    """Content-defined boundaries, as the section on chunking says them."""
    bits = round(chunking["contentTarget"]).bit_length() - 1
    early, late = ((1 << 32) - (1 << 32 - n) for n in (bits + 2, bits - 2))
    lengths, start = [], 0
    while start < len(body):
        end, value = min(len(body), start + chunking["contentMax"]), 0
        for at in range(min(end, start + chunking["contentMin"] - 32), end):
            value = (2 * value + gear[body[at]]) & 0xFFFFFFFF
            length = at + 1 - start
            if value & (early if length <= chunking["contentTarget"] else late) == 0:
                end = at + 1
                break
        lengths.append(end - start)
        start = end
    return lengths


def check_keys(keys):
    """A slot of each method, opened with its secret; a chain of two epochs, opened from the newer repository key."""
    key = bytes.fromhex(keys["repositoryKey"])
    for vector in keys["slots"]:
        line, slot, second = restore.two_lines(vector["name"], vector["object"].encode())
        what, sealed, secret = f"a slot of {slot['method']} ({slot['type']})", base64.b64decode(second), bytes.fromhex(vector["secret"])
        equal(f"{what}: its method", slot["method"], vector["method"])
        slot_key = restore.derive(secret, bytes.fromhex(slot["slot"]), f"stillpoint/1/slot/{slot['method']}")
        equal(f"{what}: its key", slot_key.hex(), vector["slotKey"])
        equal(f"{what}: what is sealed", restore.open_seal(slot_key, 0, line, sealed[:48]), key)
        mac_key = restore.derive(key, keys["repositoryId"].encode(), "stillpoint/1/mac")
        mac = hmac.digest(mac_key, vector["name"].encode() + b"\n" + line + b"\n" + sealed[:48], "sha256")
        equal(f"{what}: its MAC", mac, sealed[48:])
    with tempfile.TemporaryDirectory() as root:
        put(root, "config", keys["config"].encode())
        for epoch in keys["epochs"]:
            put(root, epoch["name"], epoch["object"].encode())
        class Opened(restore.Repository):
            def _open_slot(self, master, passphrase):
                equal("the newest repository key's name", master, keys["next"]["master"])
                return bytes.fromhex(keys["next"]["repositoryKey"])
        repository = Opened(root, lambda: b"")
        for number, epoch in enumerate(keys["epochs"], 1):
            equal(f"the key of {epoch['name']}", repository.epoch_keys[number].hex(), epoch["key"])
        older = keys["epochs"][0]
        put(root, older["name"], older["object"].replace('"createdAt":"2', '"createdAt":"3').encode())
        refused("an older epoch that was changed", lambda: Opened(root, lambda: b""))


check_keys(vectors["keys"])
with tempfile.TemporaryDirectory() as root:
    for name, text in vectors["objects"].items():
        put(root, name, base64.b64decode(text))
    repository = restore.Repository(root, lambda: b"a passphrase of the tests")
    epoch_key = repository.epoch_keys[1]
    equal("the repository's id", repository.repository_id, derived["repositoryId"])
    equal("the epoch's key", epoch_key.hex(), derived["epochKey"])
    master = bytes.fromhex(derived["repositoryKey"])
    salt = bytes.fromhex(json.loads(base64.b64decode(vectors["objects"]["epochs/00000001"]).split(b"\n")[0])["salt"])
    equal("the epoch's key, from the repository's", restore.derive(master, salt, "stillpoint/1/epoch"), epoch_key)
    equal("the signing keys", repository.trusted, {derived["signingKey"]})
    ticket = restore.derive(master, derived["repositoryId"].encode(), "stillpoint/1/derived/ticket")
    equal("a derived key", ticket.hex(), derived["derivedKey"])
    for field, label, given in (("objectKey", "object/points", "salt"), ("packKey", "pack", "packId")):
        key = restore.derive(epoch_key, bytes.fromhex(derived[field][given]), f"stillpoint/1/{label}")
        equal(field, key.hex(), derived[field]["key"])
    for kind in ("data", "tree"):
        key = restore.derive(epoch_key, b"", f"stillpoint/1/chunk-name/{kind}")
        named = hmac.digest(key, derived["chunkName"]["plain"].encode(), "sha256").hex()
        equal(f"the name of a chunk of type {kind}", named, derived["chunkName"][kind])

    gear = struct.unpack(">256I", restore.derive(epoch_key, b"", "stillpoint/1/chunker", 1024))
    equal("the gear table", list(gear[:4]), derived["gear"]["first"])
    body = noise(7, 400_000)
    equal("the body that is cut", hashlib.sha256(body).hexdigest(), derived["cuts"]["bodySha256"])
    config = json.loads(base64.b64decode(vectors["objects"]["config"]).split(b"\n")[0])
    equal("the cuts", cuts(body, gear, config["chunking"]), derived["cuts"]["lengths"])

    # A sealed object of every kind: it opens under its own name and kind to the bytes that it should hold, and no other.
    kinds = set()
    for vector in vectors["documents"]:
        kind, id, plain, sealed = vector["kind"], vector["id"], base64.b64decode(vector["plain"]), base64.b64decode(vector["sealed"])
        kinds.add(kind)
        name = f"{kind}/{id or 'any'}"
        put(root, name, sealed)
        equal(name, repository.open(kind, name, id), plain)
        put(root, name + "x", sealed)
        refused(f"{name} under another id", lambda: repository.open(kind, name + "x", id + "x"))
        put(root, name, sealed[:-1] + bytes([sealed[-1] ^ 1]))
        refused(f"{name} with another last byte", lambda: repository.open(kind, name, id))
        os.remove(os.path.join(root, name))
        os.remove(os.path.join(root, name + "x"))
        if kind == "tails":
            (length,) = struct.unpack_from(">I", plain)
            head = json.loads(plain[4:4 + length])
            equal("a tail's bytes", hashlib.sha256(plain[4 + length:]).hexdigest(), head["sha256"])
    written = {name.split("/")[0] for name in vectors["objects"]}
    equal("kinds without a vector", set(restore.KINDS) - kinds - written - {"points", "proofs"}, set())

    # A signed statement, as a proof holds it.
    put(root, "proofs/p/q", b"")
    repository.document = lambda kind, name: derived["signed"]
    equal("a signed statement", repository.verified("proofs/p/q"), {"a": "statement"})
    repository.document = lambda kind, name: {**derived["signed"], "statement": '{"a":"lie"}'}
    refused("a statement that was not signed", lambda: repository.verified("proofs/p/q"))
    del repository.document

    repository.load_index()
    manifest = repository.document("backups", "backups/vector")
    equal("the manifest", manifest, vectors["manifest"])
    restored, hashing = [], None
    def close():
        if hashing is not None:
            restored.append(f"{hashing[0]} {hashing[1]} {hashing[2].hexdigest()}")
    for item in repository.tree("vector"):
        if isinstance(item, dict):
            close()
            hashing = [item["path"], item["size"], hashlib.sha256()] if item["type"] == "file" else None
        else:
            name, offset, length = item
            hashing[2].update(repository.chunk("backups/vector", name)[offset:offset + length])
    close()
    equal("what is restored", restored, vectors["restored"])
say_all_fit()
