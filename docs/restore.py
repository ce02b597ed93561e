#!/usr/bin/env python3
"""Lists and restores what is in a Stillpoint repository, from a local copy of it and the passphrase, and nothing else.

Python 3.11 or newer, Linux:   pip install cryptography zstandard

    restore.py list REPOSITORY                          the recovery points (--backups: the backups)
    restore.py show REPOSITORY POINT                    one point, its proofs and holds (--files: what is in it)
    restore.py restore REPOSITORY POINT --to DIRECTORY  into DIRECTORY/<source>, which a server of its kind can start on

It is written from docs/repository-format.md alone, whose words it uses, and shares no code with the product: so that a
repository can be read when the product cannot, and so that the document is known to be enough. It trusts nothing that
a key does not authenticate, writes nothing outside of DIRECTORY, and leaves nothing there if anything is wrong.
"""

import argparse, base64, getpass, hashlib, hmac, json, os, re, shutil, sqlite3, stat, struct, sys, time, zlib
from collections import OrderedDict
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import zstandard
    from cryptography.exceptions import InvalidSignature, InvalidTag
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    sys.exit(f"restore.py: {missing}; install what it needs with: pip install cryptography zstandard")

VERSION = 1
KINDS = dict(config=1, epochs=2, keys=3, packs=4, index=5, backups=6, tails=7, points=8, proofs=9, holds=10, records=11,
             changes=12, leases=13, condemned=14)
HEADER, ENTRY, EXTENT = struct.Struct(">4sBBHI32s"), struct.Struct(">32sBII"), struct.Struct(">32sII")
LONGEST_CHUNK, LONGEST_OBJECT = 16 << 20, 256 << 20
KEPT_BYTES = 64 << 20  # of opened chunks: small files share them
LIST = 0xFFFFFFFF  # the position of a pack's own list
OF_TREE = 1  # the type of a tree's chunks


class Problem(Exception):
    """What a person is told. Nothing was written."""


def require(holds, name, why):
    if not holds:
        raise Problem(f"{name} is damaged: {why}; take this object from another copy of the repository")


def require_version(name, version):
    if version != VERSION:
        raise Problem(f"{name} is of format version {version}, and this program knows version {VERSION}: use a newer one")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- Keys and seals ---------------------------------------------------------------------------------------------------

def derive(key, salt, label, length=32):
    """HKDF-SHA-256 (RFC 5869)."""
    secret, block, result = hmac.digest(salt or bytes(32), key, "sha256"), b"", b""
    for n in range(1, -(-length // 32) + 1):
        block = hmac.digest(secret, block + label.encode() + bytes([n]), "sha256")
        result += block
    return result[:length]


def open_seal(key, position, aad, sealed):
    """The plain bytes, or None where they are not those that were sealed with this key, position and aad."""
    try:
        return AESGCM(key).decrypt(struct.pack(">QI", 0, position), bytes(sealed), aad)
    except (InvalidTag, ValueError):
        return None


def unpack(name, packed, longest):
    """Codec, length, bytes: what is inside of every seal, but not in a pack's list."""
    require(len(packed) >= 5, name, "it is too short")
    codec, length = struct.unpack_from(">BI", packed)
    body = packed[5:]
    require(codec in (0, 1), name, f"its codec {codec} is not known")
    if codec == 1:
        require(length <= longest, name, f"it says to be {length} bytes long")
        try:
            require(zstandard.frame_content_size(body) in (-1, length), name, "its length is not what it says")
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=length) if length else b""
        except zstandard.ZstdError as error:
            require(False, name, str(error))
    require(len(body) == length, name, "its length is not what it says")
    return body


def parse(name, data):
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    require(isinstance(value, dict), name, "it is no JSON object")
    return value


def two_lines(name, data):
    """The first line's bytes, the first line as JSON, the second line."""
    lines = data.split(b"\n")
    require(len(lines) == 3 and lines[2] == b"", name, "it is not two lines")
    return lines[0], parse(name, lines[0]), lines[1].decode("ascii", "replace")


# --- The repository ---------------------------------------------------------------------------------------------------

class Repository:
    """Objects are files below one directory, under their names. Opening it reads the keys."""

    def __init__(self, root, passphrase):
        """`passphrase` is called for it, once the repository is known to be one that can be read."""
        self.root = Path(root)
        if not (self.root / "config").is_file():
            raise Problem(f"there is no repository in {root}: a copy of one has a file `config` in it")
        self._kept, self._kept_bytes, self._all_listed = OrderedDict(), 0, False
        self._open_keys(passphrase)

    def read(self, name, offset=0, length=-1):
        try:
            with open(self.root / name, "rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            require(False, name, "it is missing")

    def names(self, folder):
        found = (Path(top, each) for top, _, files in os.walk(self.root / folder) for each in files)
        return sorted(str(path.relative_to(self.root)) for path in found if not path.name.startswith("."))

    def _open_keys(self, passphrase):
        config_bytes = self.read("config")
        _, config, _ = two_lines("config", config_bytes)
        require_version("config", config.get("version"))
        require(config.get("format") == "stillpoint-repository", "config", "it is not of a repository")
        self.repository_id = config["repositoryId"]
        names = self.names("epochs")
        have_all = names and names == [f"epochs/{n:08d}" for n in range(1, len(names) + 1)]
        require(have_all, "epochs/", "it has not every epoch from the first to the newest")
        # From the newest epoch, whose repository key a slot holds, back to the first: each holds the key before it, and
        # pins what was there when it began, for who has had an old key can make MACs with it.
        master, key, pinned = None, None, {}
        self.epoch_keys, self.trusted = {}, set()
        for number, name in reversed(list(enumerate(names, 1))):
            data = self.read(name)
            _, epoch, _ = two_lines(name, data)
            require_version(name, epoch.get("version"))
            if key is None:
                master, key = epoch["master"], self._open_slot(epoch["master"], passphrase())
            require((epoch["master"], epoch["epoch"]) == (master, number), name, "it is another epoch")
            self._check_mac(key, name, data)
            require(pinned.get("epoch") in (None, sha256(data)), name, "it is not what it was when the next began")
            require(pinned.get("config") in (None, sha256(config_bytes)), "config", f"it has changed since {name}")
            self.epoch_keys[number] = derive(key, bytes.fromhex(epoch["salt"]), "stillpoint/1/epoch")
            self.trusted.add(epoch["signingKey"])
            if number > 1:
                pinned, sealing = epoch["previous"], derive(key, bytes.fromhex(master), "stillpoint/1/previous")
                master = pinned["master"]
                key = open_seal(sealing, 0, bytes.fromhex(master), base64.b64decode(pinned["sealed"]))
                require(key, name, "the repository key before it does not open")
        require(config["master"] == master, "config", "it is of another repository key")
        self._check_mac(key, "config", config_bytes)

    def _open_slot(self, master, passphrase):
        """The repository key named `master`, from the first slot that the passphrase opens."""
        others, stretched = [], {}
        for name in self.names("keys"):
            try:
                line, slot, second = two_lines(name, self.read(name))
                if slot["version"] != VERSION or slot["method"] != "passphrase":
                    others.append(f"{slot['method']} ({slot['type']})")
                elif slot["master"] == master and name == f"keys/{slot['slot']}":
                    cost, sealed = slot["scrypt"], base64.b64decode(second)
                    require(128 * cost["n"] * cost["r"] * cost["p"] <= 1 << 30, name, "it asks for more than 1 GiB")
                    if str(cost) not in stretched:  # slots share a salt, so that a wrong passphrase costs once
                        stretched[str(cost)] = hashlib.scrypt(
                            passphrase, salt=bytes.fromhex(cost["salt"]), n=cost["n"], r=cost["r"], p=cost["p"],
                            maxmem=(1 << 30) + (1 << 26), dklen=32)
                    slot_key = derive(stretched[str(cost)], bytes.fromhex(slot["slot"]), "stillpoint/1/slot/passphrase")
                    key = open_seal(slot_key, 0, line, sealed[:48])
                    if key and hmac.compare_digest(self._mac(key, name, line + b"\n" + sealed[:48]), sealed[48:]):
                        return key
            except (Problem, KeyError, TypeError, ValueError) as error:  # one bad slot keeps no other from opening
                print(f"restore.py: passed over {name}: {error}", file=sys.stderr)
        hint = (f" It has slots that only the product opens: {', '.join(others)}; with one of them, `stillpoint key export` "
                "makes a passphrase." if others else "")
        raise Problem(f"this passphrase opens none of the key slots in {self.root}.{hint}")

    def _mac(self, key, name, line):
        mac_key = derive(key, self.repository_id.encode(), "stillpoint/1/mac")
        return hmac.digest(mac_key, name.encode() + b"\n" + line, "sha256")

    def _check_mac(self, key, name, data):
        line, _, mac = two_lines(name, data)
        fits = hmac.compare_digest(self._mac(key, name, line).hex(), mac)
        require(fits, name, "it is not what the repository's key signed")

    # --- Sealed objects

    def header(self, name, data, kind):
        require(len(data) >= HEADER.size, name, f"it is only {len(data)} bytes long")
        magic, version, code, zero, epoch, salt = HEADER.unpack_from(data)
        require(magic == b"STPT", name, "it does not begin with the format's mark")
        require_version(name, version)
        require((code, zero) == (KINDS[kind], 0), name, f"it is not of kind {kind}")
        require(epoch in self.epoch_keys, name, f"its key epoch {epoch} is not in the repository")
        return epoch, salt

    def open(self, kind, name, bound=None):
        """The plain bytes of a sealed object. `bound` is what is sealed with it as its id: its name after the folder."""
        data = self.read(name)
        epoch, salt = self.header(name, data, kind)
        bound = name.split("/", 1)[1] if bound is None else bound
        key = derive(self.epoch_keys[epoch], salt, f"stillpoint/1/object/{kind}")
        packed = open_seal(key, 0, data[:HEADER.size] + bound.encode(), data[HEADER.size:])
        require(packed is not None, name, "its bytes are not those that were sealed")
        return unpack(name, packed, LONGEST_OBJECT)

    def document(self, kind, name):
        return parse(name, self.open(kind, name))

    def documents(self, kind):
        for name in self.names(kind):
            try:
                yield name, self.document(kind, name)
            except Problem as problem:  # one that is damaged hides no other
                print(f"restore.py: {problem}", file=sys.stderr)

    def verified(self, name):
        """A proof's statement, if a key of this repository signed it."""
        signed = self.document("proofs", name)
        require(signed["signingKey"] in self.trusted, name, "a key that is not this repository's signed it")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["signingKey"]))
        try:
            key.verify(base64.b64decode(signed["signature"]), signed["statement"].encode())
        except InvalidSignature:
            require(False, name, "its signature does not fit")
        return parse(name, signed["statement"])

    # --- Chunks

    def load_index(self):
        """Where every chunk lies: a table in a temporary file, for there may be more chunks than memory."""
        self.table = sqlite3.connect("")
        self.table.execute("create table packs (pack integer primary key, id blob unique, epoch int, length int)")
        self.table.execute("create table chunks (name blob, type int, offset int, length int, position int, pack int)")
        for name in self.names("index"):
            try:
                require(sha256(self.read(name)) == name.split("/")[1], name, "its name is not the hash of its bytes")
                self._add_index(name, self.open("index", name, bound=""))
            except Problem as problem:  # what it would say stands at the ends of packs, too
                print(f"restore.py: {problem}", file=sys.stderr)
        self.table.execute("create index chunks_by_name on chunks (name)")

    def _add_index(self, name, data):
        try:
            at = 4 + 32 * struct.unpack_from(">I", data)[0]  # indexes whose content is in this one too
            packs, at = struct.unpack_from(">I", data, at)[0], at + 4
            for _ in range(packs):
                pack_id, epoch, length = struct.unpack_from(">32sII", data, at)
                at = self._add_pack(name, pack_id, epoch, length, data, at + 40)
        except struct.error:
            require(False, name, "its content is cut short")

    def _add_pack(self, name, pack_id, epoch, length, data, at):
        """A pack's list that begins at `at`. Gives where it ends."""
        count, at = struct.unpack_from(">I", data, at)[0], at + 4
        entries = data[at:at + count * ENTRY.size]
        require(len(entries) == count * ENTRY.size, name, "its content is cut short")
        added = self.table.execute("insert or ignore into packs values (null, ?, ?, ?)", (pack_id, epoch, length))
        if added.rowcount == 1:
            rows = ((*entry, p, added.lastrowid) for p, entry in enumerate(ENTRY.iter_unpack(entries)))
            self.table.executemany("insert into chunks values (?, ?, ?, ?, ?, ?)", rows)
        return at + len(entries)

    def _list_packs(self):
        """The packs that no index names, by their own lists: once, when a chunk is in no index."""
        self._all_listed = True
        print("restore.py: a chunk is in no index: reading the lists of the packs themselves", file=sys.stderr)
        known = {pack_id.hex() for (pack_id,) in self.table.execute("select id from packs")}
        for name in (name for name in self.names("packs") if name.split("/")[-1] not in known):
            try:
                size = (self.root / name).stat().st_size
                epoch, pack_id = self.header(name, self.read(name, 0, HEADER.size), "packs")
                require(pack_id.hex() == name.split("/")[-1], name, "it is another pack")
                length, mark = struct.unpack(">I4s", self.read(name, max(0, size - 8)))
                require(mark == b"STPE" and length <= size - 8 - HEADER.size, name, "its end is missing")
                data = self.open_piece(name, epoch, pack_id, LIST, self.read(name, size - 8 - length, length))
                self._add_pack(name, pack_id, epoch, size, data, 0)
            except (Problem, struct.error) as problem:
                print(f"restore.py: {problem}", file=sys.stderr)

    def places(self, name, of_tree):
        """Where a chunk lies, of which any place will do: its type, offset, length, position; the pack's id, epoch, length."""
        query = ("select type, offset, chunks.length, position, id, epoch, packs.length from chunks join packs using (pack) "
                 "where name = ? and (type = ?) = ?")
        found = self.table.execute(query, (name, OF_TREE, of_tree)).fetchall()
        if not found and not self._all_listed:
            self._list_packs()
            found = self.table.execute(query, (name, OF_TREE, of_tree)).fetchall()
        return found

    def assert_there(self, where, name):
        """A cheap look, before anything is written, whether a chunk can be read at all."""
        places, why = self.places(name, False), {}
        require(places, where, f"its chunk {name.hex()} is in no index and no pack")
        for *_, pack_id, _, length in places:
            path = Path("packs", pack_id.hex()[:2], pack_id.hex())
            size = (self.root / path).stat().st_size if (self.root / path).is_file() else None
            if size == length:
                return
            why[path] = "it is missing" if size is None else f"it has {size} bytes and should have {length}"
        for path, reason in why.items():
            require(False, path, reason)

    def chunk(self, where, name, of_tree=False):
        """The plain bytes of a chunk."""
        if plain := self._kept.get(name):
            self._kept.move_to_end(name)
            return plain
        problem = None
        for place in self.places(name, of_tree):
            try:
                plain = self._chunk_at(name, *place[:6])
            except Problem as found:
                problem = found
                continue
            self._kept[name], self._kept_bytes = plain, self._kept_bytes + len(plain)
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
            return plain
        require(problem, where, f"its chunk {name.hex()} is in no index and no pack")
        raise problem

    def open_piece(self, where, epoch, pack_id, position, sealed):
        require(epoch in self.epoch_keys, where, f"its key epoch {epoch} is not in the repository")
        # The header that every piece is sealed with is made from the pack's name and the index, not read.
        header = HEADER.pack(b"STPT", VERSION, KINDS["packs"], 0, epoch, pack_id)
        key = derive(self.epoch_keys[epoch], pack_id, "stillpoint/1/pack")
        opened = open_seal(key, position, header + struct.pack(">I", position), sealed)
        require(opened is not None, where, f"piece {position}: its bytes are not those that were sealed")
        return opened

    def _chunk_at(self, name, kind, offset, length, position, pack_id, epoch):
        where = f"packs/{pack_id.hex()[:2]}/{pack_id.hex()}"
        packed = self.open_piece(where, epoch, pack_id, position, self.read(where, offset, length))
        plain = unpack(f"chunk {position} of {where}", packed, LONGEST_CHUNK)
        label, named = {0: "data", OF_TREE: "tree"}.get(kind, "pages"), plain
        if label == "pages":  # of 2^kind bytes: what is named is the kind and the hash of each page
            pages = (plain[at:at + (1 << kind)] for at in range(0, len(plain), 1 << kind))
            named = bytes([kind]) + b"".join(hashlib.sha256(page).digest() for page in pages)
        name_key = derive(self.epoch_keys[epoch], b"", f"stillpoint/1/chunk-name/{label}")
        fits = hmac.compare_digest(hmac.digest(name_key, named, "sha256"), name)
        require(fits, where, f"chunk {position}: its content is not what its name says")
        return plain

    # --- Trees

    def tree(self, backup, expected=None):
        """The entries (dict) of a backup in order, each followed by its extents (chunk name, offset, length)."""
        name = f"backups/{backup}"
        pinned = expected in (None, sha256(self.read(name)))
        require(pinned, name, "it is not the manifest that the point was made of")
        manifest, checksum, size = self.document("backups", name), hashlib.sha256(), 0
        for chunk in manifest["tree"]:
            plain = self.chunk(name, bytes.fromhex(chunk), of_tree=True)
            checksum.update(plain)
            size += len(plain)
            yield from tree_items(name, plain)
        fits = (checksum.hexdigest(), size) == (manifest["figures"]["checksum"], manifest["treeBytes"])
        require(fits, name, "its tree is not what its checksum says")


# --- What a point that rests on its log is restored from ----------------------------------------------------------------

class SourceLog:
    """What is held of one source's log: closed stretches (backups of type `log`) and tails."""

    def __init__(self, repository, plan, source):
        self.repository, self.closed, self.tails = repository, [], []
        for name, manifest in repository.documents("backups"):
            figures = manifest["figures"]
            if (figures["plan"], figures["source"], figures["type"]) == (plan, source, "log") and "log" in figures:
                self.closed.append((figures["log"], name.split("/", 1)[1]))
        for name in repository.names(f"tails/{source}"):
            with suppress(Problem):  # one that is damaged hides no other: what it held may be in a closed stretch
                head, _ = self.tail(name)
                if head["plan"] == plan:
                    self.tails.append((head, name, head["fenceToken"]))

    def tail(self, name):
        data = self.repository.open("tails", name)
        length = struct.unpack_from(">I", data)[0]
        head = parse(name, data[4:4 + length])
        require(sha256(data[4 + length:]) == head["sha256"], name, "its bytes are not those that its head says")
        return head, data[4 + length:]

    def cover(self, stream, at, to):
        """What is read from `at` to `to`, without a hole; None where there is one."""
        reads = []
        while at < to:
            held = [(r["to"], 0, b) for r, b in self.closed if r["stream"] == stream and r["from"] <= at < r["to"]]
            held = held or [(r["to"], t, n) for r, n, t in self.tails if r["stream"] == stream and r["from"] <= at < r["to"]]
            if not held:
                return None
            end, _, name = max(held)
            # A closed stretch is read before a tail: from where one begins.
            starts = [r["from"] for r, _ in self.closed if r["stream"] == stream and at < r["from"] < end]
            reads.append(name)
            at = min(starts, default=end) if name.startswith("tails/") else end
        return reads

    def way(self, base, stream, at, seen=()):
        """The reads from where a base's replay begins to a place, and where earlier streams were left."""
        if stream == base["stream"]:
            reads = self.cover(stream, base["from"], at)
            return None if reads is None else (reads, [])
        for log in (r for r, *_ in self.closed + self.tails if r["stream"] == stream and "after" in r):
            left = log["after"]
            before = None if left["stream"] in seen else self.way(base, left["stream"], left["at"], (*seen, stream))
            reads = before and self.cover(stream, log["from"], at)
            if reads is not None and before:
                return before[0] + reads, before[1] + [left]
        return None


def lay_log(repository, into, plan, source, kind, base, mark, progress):
    """Lays what is held of the log over the backups. The mark, with the detail that its layout needs."""
    place, figures = mark["log"]["place"], repository.document("backups", f"backups/{base}")["figures"]
    log = SourceLog(repository, plan, source)
    way = log.way(figures["log"], place["stream"], place["at"])
    if way is None:
        raise Problem(f"the log of {source} has a hole between base {base} and {place['at']} in {place['stream']}")
    for name in way[0]:
        if name.startswith("tails/"):
            LOGS[kind][0](into, *log.tail(name))
        else:
            into.add(repository.tree(name), lambda chunk: repository.chunk(f"backups/{name}", chunk), progress)
            LOGS[kind][1](into)
    return {**mark, "detail": LOGS[kind][2](into, mark, way[1])}


def lay_part(into, path, offset, data):
    file = into.open(path, offset)
    os.write(file, data)
    os.truncate(file, offset + len(data))
    os.close(file)


def postgres_facts(into):
    return json.loads(Path(into.path, "stillpoint/base.json").read_text())


def lay_postgres_tail(into, head, data):
    length, at = postgres_facts(into)["segmentBytes"], int(head["from"], 16)
    lay_part(into, wal_path(head["stream"], at // length, length), at % length, data)


def wal_path(timeline, segment, length):
    high, low = divmod(segment, (1 << 32) // length)
    return f"pg_wal/{timeline}{high:08X}{low:08X}"


def postgres_detail(into, mark, left):
    facts, log = postgres_facts(into), mark["log"]
    place, target = log["place"], log["target"]
    until, lsn = int(place["at"], 16), lambda at: f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"
    ancestry = [(int(each["stream"], 16), int(each["at"], 16)) for each in left]
    history = f"pg_wal/{place['stream']}.history"
    if ancestry and not Path(into.path, history).exists():
        into.write(history, "".join(f"{timeline}\t{lsn(at)}\tas shipped\n" for timeline, at in ancestry))
    return {**facts, "target": target if target["by"] == "name" else {"by": "lsn"}, "lsn": target.get("at", facts["end"]),
            "until": lsn(until), "timeline": int(place["stream"], 16), "ancestry": ancestry}


def neo4j_database(into):
    return next(each for each in os.listdir(Path(into.path, "data/databases")) if each != "system")


def neo4j_log(database, version):
    return f"data/transactions/{database}/neostore.transaction.db.{version}"


def lay_neo4j_tail(into, head, data):
    (version, begin), end = neo4j_place(head["from"])[:2], neo4j_place(head["to"])[1]
    if end > begin:
        lay_part(into, neo4j_log(neo4j_database(into), version), begin, data[:end - begin])
    if rest := data[end - begin:]:
        version, offset = struct.unpack_from(">QQ", rest)
        held = into.sizes().get(neo4j_log("system", version), 0)
        if offset <= held < offset + len(rest) - 16:  # the base may hold more of it
            lay_part(into, neo4j_log("system", version), offset, rest[16:])


def neo4j_place(text):
    """Log file and byte, and those of the system database's log."""
    return tuple(int(text[a:b] or "0", 16) for a, b in ((0, 12), (12, 24), (24, 30), (30, 40)))


def join_neo4j_system(into):
    for name in (each for each in into.sizes() if each.startswith("shipped/system/")):
        path, shipped = f"data/transactions/system/{name.split('/')[-1]}", Path(into.path, name).read_bytes()
        if len(shipped) > into.sizes().get(path, 0):
            lay_part(into, path, 0, shipped)
    into.clear("shipped")


def neo4j_detail(into, mark, _):
    """A place is the end of a commit: the log need not be followed to find it."""
    version, offset, *system = neo4j_place(mark["log"]["place"]["at"])
    def store(database, version, offset):
        sizes, logs = into.sizes(), f"data/transactions/{database}/"
        names = {path[len(logs):]: size for path, size in sizes.items() if path.startswith(logs)}
        versions = sorted(int(name.split(".")[-1]) for name in names if name.startswith("neostore.transaction.db."))
        version = min(version, versions[-1])
        return {"database": database, "logVersion": version, "firstLogVersion": versions[0], "txId": 0, "floor": 0,
                "offset": min(offset, names[f"neostore.transaction.db.{version}"]),
                "checkpointFiles": [{"name": name, "size": size} for name, size in names.items()
                                    if re.fullmatch(r"checkpoint\.\d+", name)]}
    database = neo4j_database(into)
    if into.sizes().get(neo4j_log(database, version), -1) < offset:
        raise Problem(f"{neo4j_log(database, version)} is missing or too short")
    return {"format": "physical", **store(database, version, offset), "system": store("system", *system)}


def lay_sqlite_piece(into, data):
    into.pieces = getattr(into, "pieces", 0) + 1
    lay_part(into, f".stillpoint/log/{into.pieces:08}", 0, data)


def join_sqlite_stretch(into):
    for name in sorted(each for each in into.sizes() if each.startswith(".stillpoint/wal/")):
        lay_sqlite_piece(into, Path(into.path, name).read_bytes())
    into.clear(".stillpoint/wal")


def sqlite_looks(into):
    """Each look of the log, in order, with the records that it ends."""
    for piece in range(1, getattr(into, "pieces", 0) + 1):
        data, at, records = memoryview(Path(into.path, f".stillpoint/log/{piece:08}").read_bytes()), 0, []
        while at < len(data):
            body = at + 4 + struct.unpack_from(">I", data, at)[0]
            head = parse("the shipped log", bytes(data[at + 4:body]))
            at = body + head["bytes"]
            require(at <= len(data), "the shipped log", "it ends in the middle of a record")
            records.append((head, data[body:at]))
            if head["is"] == "look":
                yield head["position"], records
                records = []


def sqlite_pages(head, body):
    """What a record writes: each page's number and bytes, in order, and at last how many pages there are."""
    if head["is"] == "pages":
        require(zlib.crc32(body) == head["crc"], "the shipped log", "pages are not as their checksum says")
        size, bodies = head["pageSize"], 4 * head["count"]
        for i, (number,) in enumerate(struct.iter_unpack(">I", body[:bodies])):
            yield size, number, body[bodies + i * size:bodies + (i + 1) * size], head["pages"]
    if head["is"] == "frames":
        size, pages = int(head["header"][16:24], 16), None
        for at in range(0, len(body), 24 + size):
            number, committed = struct.unpack_from(">II", body, at)
            pages = committed or pages
            yield size, number, body[at + 24:at + 24 + size], pages


def sqlite_detail(into, mark, _):
    """The log into the databases, up to the look that the mark's place is; over what the base has already, which changes nothing."""
    base, place, last = json.loads(Path(into.path, ".stillpoint/sqlite-base.json").read_text()), mark["log"]["place"], None
    is_behind = lambda a, b: a["stream"] == b["stream"] and a["at"] <= b["at"]
    files, lengths = {}, {}
    for name in (each["name"] for each in base["databases"]):
        with suppress(FileNotFoundError), into.above(name, make=False) as (fd, path):
            files[name] = os.open(path, os.O_RDWR | os.O_NOFOLLOW, dir_fd=fd)
    for position, records in sqlite_looks(into):
        if is_behind(position, base["needsFrom"]) or last is not None and is_behind(position, last):
            continue
        if position["stream"] == place["stream"] and position["at"] > place["at"]:
            break
        for head, body in records:
            for size, number, page, pages in sqlite_pages(head, body):
                os.pwrite(files[head["name"]], page, (number - 1) * size)
                lengths[head["name"]] = lengths.get(head["name"], 0) if pages is None else pages * size
        last = position
    require(last == place, "the shipped log", f"it ends before {place['at']}")
    for name, file in files.items():
        if lengths.get(name):
            os.truncate(file, lengths[name])
        os.close(file)
    into.clear(".stillpoint/log")
    return mark["detail"]


def tree_items(where, data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(">BI", data, at) if at + 5 <= len(data) else (0, 0)
        payload, at = data[at + 5:at + 5 + length], at + 5 + length
        require(len(payload) == length, where, "its tree is cut short")
        require(kind in (1, 2, 3), where, f"its tree has an item of unknown type {kind}")
        if kind == 1:
            yield parse(where, payload)
        block = 0
        while kind == 2 and block < length:
            count, block = payload[block], block + 1
            extents = payload[block:block + count * EXTENT.size]
            require(count > 0 and len(extents) == count * EXTENT.size, where, "its blocks are no blocks")
            yield from EXTENT.iter_unpack(extents)
            block += len(extents)
        # 3 tells the next backup which pages changed: nothing for a reader.


def plain_path(path):
    if not isinstance(path, str) or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise Problem(f"refused the path {path!r}: it could lead out of the destination")
    return path


def is_within(path, of):
    return path == of or path.startswith(of + "/")


def narrowed(items, path):
    """What a tree means for one path and all below it: what replaces a directory above it takes it away."""
    wanted = False
    for item in items:
        if isinstance(item, tuple):
            if wanted:
                yield item
            continue
        wanted = path is None or is_within(item["path"], path)
        if wanted:
            yield item
        elif is_within(path, item["path"]) and item["type"] not in ("directory", "torn"):
            yield {"type": "deleted", "path": path}


# --- Writing ----------------------------------------------------------------------------------------------------------

class Destination:
    """A directory, outside of which nothing is written: every path is plain, and no part of it is followed as a link."""

    def __init__(self, path, owners):
        os.mkdir(path, 0o700)
        self.root, self.path, self.owners = os.open(path, os.O_RDONLY | os.O_DIRECTORY), path, owners
        self.directories, self.without_xattrs = {}, 0

    @contextmanager
    def above(self, path, make=True):
        """The directory that `path` lies in (opened part by part), and the path's last part."""
        *parts, last = plain_path(path).split("/")
        fd = os.dup(self.root)
        try:
            for part in parts:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=fd)
                    except FileExistsError:
                        pass
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd, last
        finally:
            os.close(fd)

    def clear(self, path):
        try:
            with self.above(path, make=False) as (fd, last):
                if stat.S_ISDIR(os.stat(last, dir_fd=fd, follow_symlinks=False).st_mode):
                    shutil.rmtree(last, dir_fd=fd)
                else:
                    os.unlink(last, dir_fd=fd)
        except FileNotFoundError:
            return
        self.directories = {each: entry for each, entry in self.directories.items() if not is_within(each, path)}

    def open(self, path, offset=0):
        """For a body: the file anew, or, to lay a part over it, the one that is there."""
        if offset == 0:
            self.clear(path)
        with self.above(path) as (fd, last):
            flags = os.O_RDWR if offset else os.O_WRONLY | os.O_CREAT | os.O_EXCL
            file = os.open(last, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=fd)
        if os.fstat(file).st_size < offset or not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise Problem(f"{path}: a part of it begins at byte {offset}, and there are not so many before it")
        os.lseek(file, offset, os.SEEK_SET)
        return file

    def own(self, target, entry, **how):
        if self.owners and "uid" in entry and "gid" in entry:
            os.chown(target, entry["uid"], entry["gid"], **how)

    def dress(self, fd, entry):
        """Owner, extended attributes, mode, time: each may take away what the one before it set, but not the other way."""
        self.own(fd, entry)
        for name, value in entry.get("xattrs", {}).items():
            try:
                os.setxattr(fd, name, base64.b64decode(value))
            except OSError:
                self.without_xattrs += 1  # the file system has none, or only root may: said at the end
        os.chmod(fd, entry["mode"] & (0o7777 if self.owners else 0o777))
        os.utime(fd, ns=(round(entry["mtimeMs"] * 1e6),) * 2)
        os.close(fd)

    def link(self, entry):
        self.clear(entry["path"])
        with self.above(entry["path"]) as (fd, last):
            os.symlink(entry["target"], last, dir_fd=fd)
            self.own(last, entry, dir_fd=fd, follow_symlinks=False)
            os.utime(last, ns=(round(entry["mtimeMs"] * 1e6),) * 2, dir_fd=fd, follow_symlinks=False)

    def hard_link(self, entry):
        """Whether the path is one more of a file that is there already; where it cannot be, it becomes one of its own."""
        self.clear(entry["path"])
        with self.above(entry["link"], make=False) as (of, name), self.above(entry["path"]) as (fd, last):
            with suppress(OSError):
                os.link(name, last, src_dir_fd=of, dst_dir_fd=fd, follow_symlinks=False)
                return True
        return False

    def directory(self, entry):
        with self.above(entry["path"]) as (fd, last):
            try:
                os.mkdir(last, 0o700, dir_fd=fd)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(last, dir_fd=fd, follow_symlinks=False).st_mode):
                    os.unlink(last, dir_fd=fd)
                    os.mkdir(last, 0o700, dir_fd=fd)
        self.directories[entry["path"]] = entry

    def add(self, items, chunk, progress):
        """Lays a tree over what is there. Directories get their modes and times in `finish`."""
        file, entry, firsts = None, None, set()
        def close():
            if file is not None:
                os.truncate(file, os.lseek(file, 0, os.SEEK_CUR))  # the file ends where this body does
                self.dress(file, entry)
        for item in items:
            if isinstance(item, tuple):
                name, offset, length = item
                plain = memoryview(chunk(name))[offset:offset + length]
                require(len(plain) == length, "the tree", f"an extent of {entry['path']} passes the end of its chunk")
                while plain and file is not None:
                    if entry.get("sparse") and not any(plain[:4096]):
                        os.lseek(file, len(plain[:4096]), os.SEEK_CUR)  # a hole: what is not written
                        plain = plain[4096:]
                    else:
                        plain = plain[os.write(file, plain[:4096] if entry.get("sparse") else plain):]
                progress(length)
                continue
            close()
            file, entry = None, item
            firsts.discard(item["path"])
            match item["type"]:
                case "file":
                    if item.get("link") not in firsts or not self.hard_link(item):
                        file = self.open(item["path"], item.get("offset", 0))
                    if item.get("link") == item["path"]:
                        firsts.add(item["path"])
                case "symlink": self.link(item)
                case "directory": self.directory(item)
                case "deleted": self.clear(item["path"])
        close()

    def finish(self):
        for path, entry in sorted(self.directories.items(), reverse=True):
            with self.above(path) as (fd, last):
                self.dress(os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd), entry)

    # --- The steps that a layout is made of

    def sizes(self):
        """The regular files that are there, with their sizes."""
        paths = (Path(top, name) for top, _, files in os.walk(self.path) for name in files)
        stats = ((path, path.lstat()) for path in paths)
        return {str(path.relative_to(self.path)): s.st_size for path, s in stats if stat.S_ISREG(s.st_mode)}

    def write(self, path, text):
        file = self.open(path)
        os.write(file, text.encode())
        os.close(file)

    def truncate(self, path, size):
        with self.above(path, make=False) as (fd, last):
            file = os.open(last, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=fd)
            os.truncate(file, size)
            os.close(file)

    def make(self, path):
        self.directory({"path": path, "mode": 0o700, "mtimeMs": time.time() * 1000})


# --- Layouts: how the trees of a source become a directory that its server recovers by itself, up to the mark ----------

def lay_out_postgres(into, mark):
    detail, sizes = mark["detail"], into.sizes()
    if "dump" in detail:
        return "psql -f roles.sql postgres; then for each of dumps/: pg_restore --create --dbname postgres dumps/….dump"
    start, until = (int(high, 16) << 32 | int(low, 16) for high, low in (detail[at].split("/") for at in ("start", "until")))
    length = detail["segmentBytes"]
    for segment in range(start // length, -(-until // length)):
        # Where a timeline was left inside of a segment, that segment is the next one's.
        on = next((t for t, left in detail.get("ancestry", []) if segment < left // length), detail["timeline"])
        path, needed = wal_path(f"{on:08X}", segment, length), min(length, until - segment * length)
        if sizes.get(path, -1) < (needed if "log" in mark else length):
            raise Problem(f"{path} is missing or not whole, and {mark['position']} needs it")
        if sizes[path] != length:
            into.truncate(path, length)  # zeros behind the log are no WAL
    for path in ("PG_VERSION", "global/pg_control", "backup_label"):
        if path not in sizes:
            raise Problem(f"{path} is missing")
    # Traces of the server that was captured, and its slots, which would hold back WAL for nobody.
    for path in ("standby.signal", "postmaster.pid", "postmaster.opts", "tablespace_map", "current_logfiles"):
        into.clear(path)
    for slot in {"/".join(path.split("/")[:2]) for path in sizes if path.startswith("pg_replslot/")}:
        into.clear(slot)
    into.make("pg_wal/archive_status")
    preload, target = detail["preload"], detail["target"]
    settings = {
        **detail["settings"],
        # Nobody is reached, and nobody reaches it but through a socket in its own directory.
        "listen_addresses": "", "unix_socket_directories": ".", "unix_socket_permissions": "0700", "ssl": "off",
        "archive_mode": "off", "primary_conninfo": "", "primary_slot_name": "", "max_logical_replication_workers": "0",
        "shared_preload_libraries": ",".join(preload), "session_preload_libraries": "", "local_preload_libraries": "",
        "logging_collector": "off", "log_destination": "stderr", "lc_messages": "C", "timezone": "UTC",
        "log_timezone": "UTC",
        # All WAL lies in pg_wal already, so that "not in the archive" is the true answer for every segment.
        "restore_command": "exit 1",
        **({"recovery_target_name": target["name"]} if target["by"] == "name" else
           {"recovery_target_lsn": detail["lsn"], "recovery_target_inclusive": "off"}),
        "recovery_target_timeline": str(detail["timeline"]), "recovery_target_action": "promote", "hot_standby": "off",
        "allow_in_place_tablespaces": "on",
    }
    if any(library.removeprefix("$libdir/") == "timescaledb" for library in preload):
        settings |= {"timescaledb.max_background_workers": "0", "timescaledb.telemetry_level": "off"}
    lines = (name + " = '" + value.replace("'", "''") + "'\n" for name, value in settings.items())
    into.write("postgresql.conf", "# Written by restore.py; what the source had is in the backup.\n" + "".join(lines))
    into.write("postgresql.auto.conf", "")
    into.write("pg_hba.conf", "local all all trust\n")
    into.write("pg_ident.conf", "")
    into.write("recovery.signal", "")  # without it, PostgreSQL would take the end of the WAL for the mark
    return (f"as the account that is to own it (as root, first: chown -R): pg_ctl -D {into.path} start; "
            f"psql -h {into.path} -U {detail['bootstrapUser']} {detail['database']}")


def lay_out_neo4j(into, mark):
    detail, all_sizes = mark["detail"], into.sizes()
    if detail["format"] == "logical":
        return "an export over Bolt, as JSON by line: import it with the product or a script of your own"
    for store in (detail["system"], detail):
        logs, last = f"data/transactions/{store['database']}", store["logVersion"]
        sizes = {path[len(logs) + 1:]: size for path, size in all_sizes.items() if path.startswith(logs + "/")}
        # A newer checkpoint with the base's older store files starts, and has silently lost what lies between the two.
        own = {each["name"]: each["size"] for each in store["checkpointFiles"]}
        if {name: size for name, size in sizes.items() if re.fullmatch(r"checkpoint\.\d+", name)} != own:
            raise Problem(f"{logs}: its checkpoint files are not those that the base was made with")
        for version in range(store["firstLogVersion"], last + 1):
            if sizes.get(f"neostore.transaction.db.{version}", -1) < (store["offset"] if version == last else 0):
                raise Problem(f"{logs}/neostore.transaction.db.{version} is missing or too short")
        if store["txId"] < store["floor"]:
            raise Problem(f"{logs}: tx {store['txId']} is before the end of the base, tx {store['floor']}")
        for name in sizes:
            if (found := re.fullmatch(r"neostore\.transaction\.db\.(\d+)", name)) and int(found[1]) > last:
                into.clear(f"{logs}/{name}")
        into.truncate(f"{logs}/neostore.transaction.db.{last}", store["offset"])
    for path in ("logs", "plugins", "import", "run"):
        into.make(path)
    into.write("conf/neo4j.conf", "server.default_listen_address=127.0.0.1\nserver.https.enabled=false\n"
               "dbms.usage_report.enabled=false\ndb.tx_log.preallocate=false\n"
               "db.tx_log.rotation.retention_policy=keep_all\ndbms.security.auth_enabled=true\n"
               f"initial.dbms.default_database={detail['database']}\nserver.memory.pagecache.size=256m\n")
    return f"a home directory of the server: NEO4J_HOME={into.path}; its users are the source's"


def lay_out_sqlite(into, mark):
    names = [each["name"] for each in mark["detail"]["databases"]]
    for name in names:
        for suffix in ("-shm", "-journal"):  # of an earlier opening; the -wal beside it is what SQLite recovers
            into.clear(name + suffix)
    if "log" in mark:
        kept, sizes = {name + suffix for name in names for suffix in ("", "-wal")}, into.sizes()
        for path in (each for each in sizes if each not in kept and not each.startswith(".stillpoint/")):
            into.clear(path)  # the base may have more than the point
        for name in (each for each in names if f".stillpoint/since/{each}-wal" in sizes):
            with into.above(f".stillpoint/since/{name}-wal") as (of, since), into.above(f"{name}-wal") as (fd, wal):
                os.rename(since, wal, src_dir_fd=of, dst_dir_fd=fd)
        into.clear(".stillpoint/since")
    return "the databases open as they are; SQLite reads their logs by itself"


def lay_out_qdrant(into, mark):
    return ("into a running server, for each folder of collections/: make the collection as its config.json says, then "
            "POST each shard-<n>.snapshot to /collections/<name>/shards/<n>/snapshots/upload?priority=snapshot, or "
            "collection.snapshot to /collections/<name>/snapshots/upload?priority=snapshot (of a peer-<k>.snapshot the entries "
            "below <n>/ are shard n's); then set aliases.json")


# By kind: lays a tail, does what is to be done after a closed stretch, and says what a mark's `detail` would.
LOGS = dict(postgres=(lay_postgres_tail, lambda into: None, postgres_detail),
            neo4j=(lay_neo4j_tail, join_neo4j_system, neo4j_detail),
            sqlite=(lambda into, head, data: lay_sqlite_piece(into, data), join_sqlite_stretch, sqlite_detail))

LAYOUTS = dict(postgres=lay_out_postgres, neo4j=lay_out_neo4j, sqlite=lay_out_sqlite, qdrant=lay_out_qdrant,
               files=lambda into, mark: "the files as they were")


# --- Commands ---------------------------------------------------------------------------------------------------------

class Progress:
    def __init__(self, total):
        self.total, self.done, self.started, self.told = total, 0, time.monotonic(), time.monotonic()

    def __call__(self, length):
        self.done += length
        now, is_terminal = time.monotonic(), sys.stderr.isatty()
        if now - self.told > (1 if is_terminal else 10):
            self.told, rate = now, self.done / (now - self.started) / 1e6
            print(f"  {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, {rate:.0f} MB/s ", file=sys.stderr,
                  end="\r" if is_terminal else "\n", flush=True)


def deleted_points(repository):
    """Of a point's changes of these two kinds the one with the highest sequence counts, then the highest id."""
    changes = sorted((c for _, c in repository.documents("changes")), key=lambda c: (c["sequence"], c["changeId"]))
    newest = {c["object"]: c["change"] for c in changes if c["change"] in ("delete", "undelete")}
    return {name for name, change in newest.items() if change == "delete"}


def list_all(repository, args):
    if args.backups:
        for name, manifest in repository.documents("backups"):
            f = manifest["figures"]
            print(f"{f['backupId']}  {f['finishedAt']}  {f['plan']}/{f['source']} {f['kind']} {f['type']}  {f['bytes']} bytes")
        return
    deleted = deleted_points(repository)
    for name, point in ((name, document["point"]) for name, document in repository.documents("points")):
        print(f"{point['pointId']}  {point['cut']['at']}  {point['plan']}  {point['cut']['consistency']}  "
              f"{','.join(s['source'] for s in point['sources'])}  {sum(s['bytes'] for s in point['sources'])} bytes"
              + "  PARTIAL" * point["partial"] + "  deleted" * (name in deleted))


def chosen(repository, args):
    """The point, or None; its sources: name, kind, mark, and the backups in order, each with its manifest's SHA-256."""
    point_name, backup_name = f"points/{plain_path(args.point)}", f"backups/{plain_path(args.point)}"
    if (repository.root / point_name).is_file():
        document = repository.document("points", point_name)
        hashes = {each["backupId"]: each["sha256"] for each in document["manifests"]}
        sources = [(s["source"], s["kind"], s["mark"], [(b, hashes[b]) for b in s["backups"]])
                   for s in document["point"]["sources"] if args.source in (None, s["source"])]
        if not sources:
            raise Problem(f"the point holds no source {args.source}")
        if point_name in deleted_points(repository):
            print("this point is deleted: what it stands on may go at any time")
        return document["point"], sources
    if (repository.root / backup_name).is_file():
        figures = repository.document("backups", backup_name)["figures"]
        return None, [(figures["source"], figures["kind"], None, [(args.point, None)])]
    raise Problem(f"there is no point and no backup {args.point}: see `list` and `list --backups`")


def show(repository, args):
    point, sources = chosen(repository, args)
    print(json.dumps(point or repository.document("backups", f"backups/{args.point}"), indent=2))
    for name in repository.names(f"proofs/{args.point}") + repository.names(f"holds/{args.point}"):
        proof = name.startswith("proofs")
        print(name, json.dumps(repository.verified(name) if proof else repository.document("holds", name)))
    if args.files:
        repository.load_index()
        for source, backup in ((source, backup) for source, *_, backups in sources for backup in backups):
            for entry in (item for item in repository.tree(*backup) if isinstance(item, dict)):
                print(source, backup[0], entry["type"], entry.get("size", "-"), json.dumps(entry["path"]))


def survey(repository, backup, expected, path):
    """Reads a tree to its end and looks that everything in it is there, before anything is written. Bytes and entries."""
    where, total, count, left, known = f"backups/{backup}", 0, 0, 0, set()
    for item in narrowed(repository.tree(backup, expected), path):
        if isinstance(item, tuple):
            if item[0] not in known:
                repository.assert_there(where, item[0])
                known.add(item[0])
            left, total = left - item[2], total + item[2]
            continue
        require(left == 0, where, f"the file before {plain_path(item['path'])} has not all of its blocks")
        require(item["type"] in ("file", "directory", "symlink", "deleted", "torn"), where,
                f"{item['path']} is of unknown type {item['type']}")
        left, count = item["size"] if item["type"] == "file" else 0, count + 1
    require(left == 0, where, "its last file has not all of its blocks")
    return total, count


def restore(repository, args):
    to = Path(args.to).absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Problem(f"{to} is not an empty directory: nothing was written")
    point, sources = chosen(repository, args)
    if args.path is not None and len(sources) != 1:
        raise Problem("a path needs its source: --source")
    path = None if args.path is None else plain_path(args.path.strip("/"))
    if point is not None:
        without = ", ".join(s["source"] for s in point["skipped"])
        print(f"point {point['pointId']} of {point['cut']['at']}: {point['cut']['consistency']}"
              + f"; PARTIAL, without {without}" * point["partial"])
    print("reading the index and the trees", file=sys.stderr)
    repository.load_index()
    surveys = [survey(repository, *backup, path) for *_, backups in sources for backup in backups]
    if sum(count for _, count in surveys) == 0:
        raise Problem(f"nothing in it is {args.path}: see `show --files`")
    progress, torn, restored, made = Progress(sum(size for size, _ in surveys)), {}, [], not to.exists()
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Everything is written beside its place, and moved there when all of it is right.
    making = to / ".restore-incomplete"
    making.mkdir(mode=0o700)
    try:
        for source, kind, mark, backups in sources:
            if "/" in plain_path(source):
                raise Problem(f"refused the source's name {source!r}")
            into = Destination(str(making / source), os.geteuid() == 0 and not args.no_owners)
            for backup, expected in backups:
                def items():
                    for item in narrowed(repository.tree(backup, expected), path):
                        if isinstance(item, dict):  # torn says that the body before it changed while it was read
                            torn[f"{source}/{item['path']}"] = item["type"] == "torn"
                        yield item
                into.add(items(), lambda name: repository.chunk(f"backups/{backup}", name), progress)
            if mark is not None and "log" in mark and path is None:
                mark = lay_log(repository, into, point["plan"], source, kind, backups[0][0], mark, progress)
            # A part of a tree, or one backup without its mark, is no server's directory.
            lay_out = LAYOUTS.get(kind) if mark is not None and path is None else None
            words = lay_out(into, mark) if lay_out else "as it lies in the backup, not laid out"
            restored.append((source, into, words.replace(str(making), str(to))))
        for _, into, _ in restored:  # last, for directories may be closed to us then
            into.finish()
        for each in making.iterdir():
            each.rename(to / each.name)
        making.rmdir()
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        if made:
            with suppress(OSError):
                to.rmdir()
        raise
    for name in (name for name, is_torn in torn.items() if is_torn):
        print(f"{json.dumps(name)} changed while it was backed up: it was padded or cut")
    print(f"restored {progress.done} bytes into {to}")
    for source, into, words in restored:
        print(f"  {to / source} ({source}): {words}")
        if into.without_xattrs:
            print(f"  {to / source} ({source}): {into.without_xattrs} extended attributes could not be set")


def passphrase_of(args):
    if args.key_file is None:
        return getpass.getpass("passphrase: ").encode()
    mode = os.stat(args.key_file).st_mode & 0o777
    if mode & 0o077:
        raise Problem(f"{args.key_file} has mode {mode:04o}, others can read it: chmod 600 {args.key_file}")
    return re.sub(rb"\r?\n\Z", b"", Path(args.key_file).read_bytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    def command(name, run, help, *positional):
        added = commands.add_parser(name, help=help)
        added.set_defaults(run=run)
        for each in ("repository", *positional):
            added.add_argument(each)
        added.add_argument("--key-file", help="a file of mode 0600 with the passphrase; without it you are asked")
        return added
    command("list", list_all, "list points").add_argument("--backups", action="store_true", help="list backups instead")
    shown = command("show", show, "show a point or a backup", "point")
    shown.add_argument("--files", action="store_true", help="list what is in its trees")
    restored = command("restore", restore, "restore a point or one backup", "point")
    restored.add_argument("--to", required=True, help="a new or empty directory")
    restored.add_argument("--path", help="only this path of the source's tree, with all below it")
    restored.add_argument("--no-owners", action="store_true", help="as root: do not set the files' owners")
    for each in (shown, restored):
        each.add_argument("--source", help="only this source")
    args = parser.parse_args()
    try:
        args.run(Repository(args.repository, lambda: passphrase_of(args)), args)
    except Problem as problem:
        sys.exit(f"restore.py: {problem}")
    except (KeyError, TypeError, AttributeError) as error:
        sys.exit(f"restore.py: a document of the repository has not the fields that it should have: {error!r}")
    except (OSError, ValueError) as error:
        sys.exit(f"restore.py: {error}")
    except KeyboardInterrupt:
        sys.exit("restore.py: stopped; nothing was written")


if __name__ == "__main__":
    main()
