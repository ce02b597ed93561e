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

import argparse, base64, getpass, hashlib, hmac, json, os, re, shutil, sqlite3, stat, struct, sys, time
from collections import OrderedDict
from contextlib import contextmanager
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
LAST = 0xFFFFFFFF  # the position of a pack's own list


class Problem(Exception):
    """What a person is told. Nothing was written."""


def damaged(name, why):
    return Problem(f"{name} is damaged: {why}; take this object from another copy of the repository")


def too_new(name, version):
    return Problem(f"{name} is of format version {version}, and this program knows version {VERSION}: use a newer one")


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
    if len(packed) < 5:
        raise damaged(name, "it is too short")
    codec, length = struct.unpack_from(">BI", packed)
    body = packed[5:]
    if codec == 1:
        if length > longest or zstandard.frame_content_size(body) not in (-1, length):
            raise damaged(name, "its length is not what it says")
        try:
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=length) if length else b""
        except zstandard.ZstdError as error:
            raise damaged(name, str(error)) from error
    elif codec != 0:
        raise damaged(name, f"its codec {codec} is not known")
    if len(body) != length:
        raise damaged(name, "its length is not what it says")
    return body


def two_lines(name, data):
    """The first line's bytes, the first line as JSON, the second line."""
    lines = data.split(b"\n")
    if len(lines) != 3 or lines[2] != b"":
        raise damaged(name, "it is not two lines")
    return lines[0], parse(name, lines[0]), lines[1].decode("ascii", "replace")


def parse(name, data):
    try:
        value = json.loads(data)
    except ValueError as error:
        raise damaged(name, "it is no JSON") from error
    if not isinstance(value, dict):
        raise damaged(name, "it is no JSON object")
    return value


# --- The repository ---------------------------------------------------------------------------------------------------

class Repository:
    """Objects are files below one directory, under their names. Opening reads the keys; the index is read when needed."""

    def __init__(self, root, passphrase):
        self.root = Path(root)
        if not (self.root / "config").is_file():
            raise Problem(f"there is no repository in {root}: a copy of one has a file `config` in it")
        self._kept, self._kept_bytes, self._places = OrderedDict(), 0, None
        self._open_keys(passphrase)

    def read(self, name, offset=0, length=-1):
        try:
            with open(self.root / name, "rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            raise damaged(name, "it is missing") from None

    def names(self, folder):
        found = (Path(top, each) for top, below, files in os.walk(self.root / folder) for each in files)
        return sorted(str(path.relative_to(self.root)) for path in found if not path.name.startswith("."))

    def _open_keys(self, passphrase):
        # The version comes first: what another version's slots look like is not known.
        config_bytes = self.read("config")
        _, config, _ = two_lines("config", config_bytes)
        if config.get("version") != VERSION:
            raise too_new("config", config.get("version"))
        if config.get("format") != "stillpoint-repository":
            raise damaged("config", "it is not of a repository")
        self.repository_id = config["repositoryId"]
        names = self.names("epochs")
        if not names or names != [f"epochs/{n:08d}" for n in range(1, len(names) + 1)]:
            raise damaged("epochs/", "it has not every epoch from the first to the newest")
        # From the newest epoch, whose repository key a slot holds, back to the first: each holds the key before it, and
        # pins what was there when it began, for who has had an old key can make MACs with it.
        name_of_key, key, pinned = None, None, {}
        self.epoch_keys, self.trusted = {}, set()
        for number, name in reversed(list(enumerate(names, 1))):
            data = self.read(name)
            _, epoch, _ = two_lines(name, data)
            if epoch.get("version") != VERSION:
                raise too_new(name, epoch.get("version"))
            if key is None:
                name_of_key, key = epoch["master"], self._open_slot(epoch["master"], passphrase)
            if epoch["master"] != name_of_key or epoch["epoch"] != number:
                raise damaged(name, "it is another epoch, or of another repository key")
            self._check_mac(key, name, data)
            if pinned.get("epoch", sha256(data)) != sha256(data):
                raise damaged(name, "it is not what it was when the next epoch began")
            if pinned.get("config", sha256(config_bytes)) != sha256(config_bytes):
                raise damaged("config", f"it is not what it was when epoch {number + 1} began")
            self.epoch_keys[number] = derive(key, bytes.fromhex(epoch["salt"]), "stillpoint/1/epoch")
            self.trusted.add(epoch["signingKey"])
            if number > 1:
                pinned, old = epoch["previous"], bytes.fromhex(epoch["previous"]["master"])
                sealing = derive(key, bytes.fromhex(name_of_key), "stillpoint/1/previous")
                name_of_key, key = old.hex(), open_seal(sealing, 0, old, base64.b64decode(pinned["sealed"]))
                if key is None:
                    raise damaged(name, "the repository key before it does not open")
        if config["master"] != name_of_key:
            raise damaged("config", "it is of another repository key")
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
                    if 128 * cost["n"] * cost["r"] * cost["p"] > 1 << 30:
                        raise damaged(name, "it asks for more than 1 GiB")
                    if str(cost) not in stretched:  # slots share a salt, so that a wrong passphrase costs once
                        stretched[str(cost)] = hashlib.scrypt(
                            passphrase, salt=bytes.fromhex(cost["salt"]), n=cost["n"], r=cost["r"], p=cost["p"],
                            maxmem=(1 << 30) + (1 << 26), dklen=32)
                    slot_key = derive(stretched[str(cost)], bytes.fromhex(slot["slot"]), "stillpoint/1/slot/passphrase")
                    opened = open_seal(slot_key, 0, line, sealed[:48])
                    if opened and hmac.compare_digest(self._mac(opened, name, line + b"\n" + sealed[:48]), sealed[48:]):
                        return opened
            except (Problem, KeyError, TypeError, ValueError) as error:  # one bad slot keeps no other from opening
                print(f"restore.py: passed over {name}: {error}", file=sys.stderr)
        hint = f" It has slots that only the product opens: {', '.join(others)}." if others else ""
        raise Problem(f"this passphrase opens none of the key slots in {self.root}.{hint}")

    def _mac(self, key, name, data):
        return hmac.digest(derive(key, self.repository_id.encode(), "stillpoint/1/mac"), name.encode() + b"\n" + data,
                           "sha256")

    def _check_mac(self, key, name, data):
        line, _, mac = two_lines(name, data)
        if not hmac.compare_digest(self._mac(key, name, line).hex(), mac):
            raise damaged(name, "it is not what the repository's key signed")

    # --- Sealed objects

    def header(self, name, data, kind):
        if len(data) < HEADER.size:
            raise damaged(name, f"it is only {len(data)} bytes long")
        magic, version, code, zero, epoch, salt = HEADER.unpack_from(data)
        if magic != b"STPT":
            raise damaged(name, "it does not begin with the format's mark")
        if version != VERSION:
            raise too_new(name, version)
        if code != KINDS[kind] or zero != 0:
            raise damaged(name, f"it is not of kind {kind}")
        if epoch not in self.epoch_keys:
            raise damaged(name, f"its key epoch {epoch} is not in the repository")
        return epoch, salt

    def open(self, kind, name, bound=None):
        """The plain bytes of a sealed object. `bound` is what is sealed with it as its id: its name after the folder."""
        data = self.read(name)
        epoch, salt = self.header(name, data, kind)
        bound = name.split("/", 1)[1] if bound is None else bound
        key = derive(self.epoch_keys[epoch], salt, f"stillpoint/1/object/{kind}")
        packed = open_seal(key, 0, data[:HEADER.size] + bound.encode(), data[HEADER.size:])
        if packed is None:
            raise damaged(name, "its bytes are not those that were sealed")
        return unpack(name, packed, LONGEST_OBJECT)

    def document(self, kind, name):
        return parse(name, self.open(kind, name))

    def documents(self, kind, within=""):
        return ((name, self.document(kind, name)) for name in self.names(f"{kind}/{within}".rstrip("/")))

    def verified(self, name):
        """A proof's statement, if a key of this repository signed it."""
        signed = self.document("proofs", name)
        if signed["signingKey"] not in self.trusted:
            raise damaged(name, "a key that is not this repository's signed it")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["signingKey"]))
        try:
            key.verify(base64.b64decode(signed["signature"]), signed["statement"].encode())
        except InvalidSignature:
            raise damaged(name, "its signature does not fit") from None
        return parse(name, signed["statement"])

    # --- Chunks

    def load_index(self):
        """Where every chunk lies: a table in a temporary file, for there may be more chunks than memory."""
        self._places = table = sqlite3.connect("")
        table.execute("create table packs (id text primary key, epoch int, length int)")
        table.execute("create table chunks (name blob, type int, offset int, length int, position int, pack text)")
        for name in self.names("index"):
            if sha256(self.read(name)) != name.split("/")[1]:
                raise damaged(name, "its name is not the hash of its bytes")
            self._add_index(name, self.open("index", name, bound=""))
        table.execute("create index chunks_by_name on chunks (name)")

    def _add_index(self, name, data):
        try:
            (superseded,) = struct.unpack_from(">I", data)
            at = 4 + 32 * superseded  # their content is in this one too; both may be read
            (packs,) = struct.unpack_from(">I", data, at)
            at += 4
            for _ in range(packs):
                pack, epoch, length, count = struct.unpack_from(">32sIII", data, at)
                self._add_pack(pack.hex(), epoch, length, data[at + 44:at + 44 + count * ENTRY.size], count)
                at += 44 + count * ENTRY.size
        except struct.error as error:
            raise damaged(name, "its content is cut short") from error

    def _add_pack(self, pack, epoch, length, entries, count):
        if len(entries) != count * ENTRY.size:
            raise struct.error
        if self._places.execute("insert or ignore into packs values (?, ?, ?)", (pack, epoch, length)).rowcount:
            rows = ((*entry, position, pack) for position, entry in enumerate(ENTRY.iter_unpack(entries)))
            self._places.executemany("insert into chunks values (?, ?, ?, ?, ?, ?)", rows)

    def places(self, name, of_tree):
        return self._places.execute(
            "select type, offset, chunks.length, position, pack, epoch, packs.length from chunks "
            "join packs on packs.id = pack where name = ? and (type = 1) = ?", (name, of_tree)).fetchall()

    def assert_there(self, where, name):
        """A cheap look, before anything is written, whether a chunk can be read at all."""
        problem = damaged(where, f"its chunk {name.hex()} is in no index")
        for *_, pack, _, length in self.places(name, False):
            path = self.root / "packs" / pack[:2] / pack
            size = path.stat().st_size if path.is_file() else -1
            if size == length:
                return
            why = "it is missing" if size < 0 else f"it has {size} bytes and should have {length}"
            problem = damaged(f"packs/{pack[:2]}/{pack}", why)
        raise problem

    def chunk(self, where, name, of_tree=False):
        """The plain bytes of a chunk, from any of the places where it lies."""
        if plain := self._kept.get(name):
            self._kept.move_to_end(name)
            return plain
        problem = damaged(where, f"its chunk {name.hex()} is in no index")
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
        raise problem

    def _chunk_at(self, name, kind, offset, length, position, pack, epoch):
        where = f"packs/{pack[:2]}/{pack}"
        if epoch not in self.epoch_keys:
            raise damaged(where, f"its key epoch {epoch} is not in the repository")
        sealed = self.read(where, offset, length)
        epoch_key, pack_id = self.epoch_keys[epoch], bytes.fromhex(pack)
        # The header that every piece is sealed with is made from the pack's name and the index, not read.
        header = HEADER.pack(b"STPT", VERSION, KINDS["packs"], 0, epoch, pack_id)
        packed = open_seal(derive(epoch_key, pack_id, "stillpoint/1/pack"), position,
                           header + struct.pack(">I", position), sealed)
        if packed is None:
            raise damaged(where, f"chunk {position}: its bytes are not those that were sealed")
        plain = unpack(f"chunk {position} of {where}", packed, LONGEST_CHUNK)
        label, named = ("data", "tree")[kind] if kind < 2 else "pages", plain
        if kind >= 2:  # pages of 2^kind bytes: what is named is the kind and the hash of each page
            pages = (plain[at:at + (1 << kind)] for at in range(0, len(plain), 1 << kind))
            named = bytes([kind]) + b"".join(hashlib.sha256(page).digest() for page in pages)
        name_key = derive(epoch_key, b"", f"stillpoint/1/chunk-name/{label}")
        if not hmac.compare_digest(hmac.digest(name_key, named, "sha256"), name):
            raise damaged(where, f"chunk {position}: its content is not what its name says")
        return plain

    # --- Trees

    def tree(self, backup, expected=None):
        """The entries (dict) of a backup in order, each followed by its extents (chunk name, offset, length)."""
        name = f"backups/{backup}"
        if expected not in (None, sha256(self.read(name))):
            raise damaged(name, "it is not the manifest that the point was made of")
        manifest = self.document("backups", name)
        checksum, size = hashlib.sha256(), 0
        for chunk in manifest["tree"]:
            plain = self.chunk(name, bytes.fromhex(chunk), of_tree=True)
            checksum.update(plain)
            size += len(plain)
            yield from tree_items(name, plain)
        if checksum.hexdigest() != manifest["figures"]["checksum"] or size != manifest["treeBytes"]:
            raise damaged(name, "its tree is not what its checksum says")


def tree_items(where, data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(">BI", data, at) if at + 5 <= len(data) else (0, 0)
        payload, at = data[at + 5:at + 5 + length], at + 5 + length
        if kind not in (1, 2, 3) or len(payload) != length:
            raise damaged(where, f"its tree has an item of unknown type {kind}, or is cut short")
        if kind == 1:
            yield parse(where, payload)
        if kind != 2:
            continue  # 3 tells the next backup which pages changed: nothing for a reader
        block = 0
        while block < len(payload):
            count, block = payload[block], block + 1
            extents = payload[block:block + count * EXTENT.size]
            if count == 0 or len(extents) != count * EXTENT.size:
                raise damaged(where, "its blocks are no blocks")
            yield from EXTENT.iter_unpack(extents)
            block += len(extents)


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
    """A directory, outside of which nothing is written: every path is plain, and no part of it is ever followed as a link."""

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

    def dress(self, fd, entry):
        """Extended attributes, owner, mode, time; the latter last, for the others change it."""
        for name, value in entry.get("xattrs", {}).items():
            try:
                os.setxattr(fd, name, base64.b64decode(value))
            except OSError:
                self.without_xattrs += 1  # the file system has none, or only root may: said at the end
        if self.owners and "uid" in entry and "gid" in entry:
            os.chown(fd, entry["uid"], entry["gid"])
        os.chmod(fd, entry["mode"] & (0o7777 if self.owners else 0o777))
        os.utime(fd, ns=(round(entry["mtimeMs"] * 1e6),) * 2)

    def link(self, entry):
        self.clear(entry["path"])
        with self.above(entry["path"]) as (fd, last):
            os.symlink(entry["target"], last, dir_fd=fd)
            if self.owners and "uid" in entry and "gid" in entry:
                os.chown(last, entry["uid"], entry["gid"], dir_fd=fd, follow_symlinks=False)
            os.utime(last, ns=(round(entry["mtimeMs"] * 1e6),) * 2, dir_fd=fd, follow_symlinks=False)

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
        file, entry = None, None
        def close():
            if file is not None:
                os.truncate(file, os.lseek(file, 0, os.SEEK_CUR))  # the file ends where this body does
                self.dress(file, entry)
                os.close(file)
        for item in items:
            if isinstance(item, tuple):
                name, offset, length = item
                with memoryview(chunk(name)) as plain:
                    view = plain[offset:offset + length]
                    while view:
                        view = view[os.write(file, view):]
                progress(length)
                continue
            close()
            file, entry = None, item
            match item["type"]:
                case "file": file = self.open(item["path"], item.get("offset", 0))
                case "symlink": self.link(item)
                case "directory": self.directory(item)
                case "deleted": self.clear(item["path"])
        close()

    def finish(self):
        for path, entry in sorted(self.directories.items(), reverse=True):
            with self.above(path) as (fd, last):
                below = os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                self.dress(below, entry)
                os.close(below)

    # --- The steps that a layout is made of

    def sizes(self):
        """The regular files that are there, with their sizes."""
        found = {}
        for top, _, files in os.walk(self.path):
            for path in (Path(top, name) for name in files):
                if stat.S_ISREG(path.lstat().st_mode):
                    found[str(path.relative_to(self.path))] = path.lstat().st_size
        return found

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


# --- Layouts: how the trees of a source become a directory that its server recovers by itself, up to the mark -----------

def lay_out_postgres(into, mark):
    detail, sizes = mark["detail"], into.sizes()
    number = lambda text: int(text.split("/")[0], 16) << 32 | int(text.split("/")[1], 16)
    length = detail["segmentBytes"]
    for segment in range(number(detail["start"]) // length, -(-number(detail["until"]) // length)):
        high, low = divmod(segment, (1 << 32) // length)
        if sizes.get(path := f"pg_wal/{detail['timeline']:08X}{high:08X}{low:08X}") != length:
            raise Problem(f"{path} is missing or not whole, and {mark['position']} needs it")
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
    return (f"as the account that is to own it (chown -R first if you are root): pg_ctl -D {into.path} start; "
            f"psql -h {into.path} -U {detail['bootstrapUser']} {detail['database']}")


def lay_out_neo4j(into, mark):
    detail, all_sizes = mark["detail"], into.sizes()
    if detail["format"] == "logical":
        return "an export over Bolt, as JSON by line: import it with the product or a script of your own"
    for store in (detail["system"], detail):
        logs = f"data/transactions/{store['database']}"
        sizes = {path[len(logs) + 1:]: size for path, size in all_sizes.items() if path.startswith(logs + "/")}
        # A newer checkpoint with the base's older store files starts, and has silently lost what lies between the two.
        own = {each["name"]: each["size"] for each in store["checkpointFiles"]}
        if {name: size for name, size in sizes.items() if re.fullmatch(r"checkpoint\.\d+", name)} != own:
            raise Problem(f"{logs}: its checkpoint files are not those that the base was made with")
        last = store["logVersion"]
        for version in range(store["firstLogVersion"], last + 1):
            if sizes.get(f"neostore.transaction.db.{version}", -1) < (store["offset"] if version == last else 0):
                raise Problem(f"{logs}/neostore.transaction.db.{version} is missing or too short")
        if store["txId"] < store["floor"]:
            raise Problem(f"{logs}: tx {store['txId']} is before the end of the base, tx {store['floor']}")
        for name in sizes:
            found = re.fullmatch(r"neostore\.transaction\.db\.(\d+)", name)
            if found and int(found[1]) > last:
                into.clear(f"{logs}/{name}")
        into.truncate(f"{logs}/neostore.transaction.db.{last}", store["offset"])
    for path in ("logs", "plugins", "import", "run"):
        into.make(path)
    into.clear("conf/neo4j.conf")
    into.write("conf/neo4j.conf", "server.default_listen_address=127.0.0.1\nserver.https.enabled=false\n"
               "dbms.usage_report.enabled=false\ndb.tx_log.preallocate=false\n"
               "db.tx_log.rotation.retention_policy=keep_all\ndbms.security.auth_enabled=true\n"
               f"initial.dbms.default_database={detail['database']}\nserver.memory.pagecache.size=256m\n")
    return f"a home directory of the server: NEO4J_HOME={into.path}; its users are the source's"


def lay_out_sqlite(into, mark):
    for database in mark["detail"]["databases"]:
        for suffix in ("-shm", "-journal"):  # of an earlier opening; the -wal beside it is what SQLite recovers
            into.clear(database["name"] + suffix)
    return "the databases open as they are; SQLite reads their logs by itself"


def lay_out_qdrant(into, mark):
    return ("into a running server, for each folder of collections/: make the collection as its config.json says, then "
            "POST each shard-<n>.snapshot to /collections/<name>/shards/<n>/snapshots/upload?priority=snapshot, or "
            "collection.snapshot to /collections/<name>/snapshots/upload?priority=snapshot; then set aliases.json")


LAYOUTS = dict(postgres=lay_out_postgres, neo4j=lay_out_neo4j, sqlite=lay_out_sqlite, qdrant=lay_out_qdrant,
               files=lambda into, mark: "the files as they were")


# --- Commands ---------------------------------------------------------------------------------------------------------

class Progress:
    def __init__(self, total):
        self.total, self.done, self.started, self.told = total, 0, time.monotonic(), time.monotonic()

    def __call__(self, length):
        self.done += length
        now = time.monotonic()
        if now - self.told > (1 if sys.stderr.isatty() else 10):
            self.told = now
            rate, start = self.done / (now - self.started) / 1e6, "\r" if sys.stderr.isatty() else ""
            print(f"{start}  {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, {rate:.0f} MB/s ", file=sys.stderr,
                  end="" if start else "\n", flush=True)


def newest_changes(repository):
    """Of several changes of one object the one with the highest sequence counts, then the highest id."""
    changes = sorted((c for _, c in repository.documents("changes")), key=lambda c: (c["sequence"], c["changeId"]))
    return {(change["object"], change["change"] in ("delete", "undelete")): change["change"] for change in changes}


def is_deleted(changes, name):
    return changes.get((name, True)) == "delete"


def list_all(repository, args):
    if args.backups:
        for name, manifest in repository.documents("backups"):
            f = manifest["figures"]
            print(f"{name[8:]}  {f['finishedAt']}  {f['plan']}/{f['source']} {f['kind']} {f['type']}  {f['bytes']} bytes")
        return
    changes = newest_changes(repository)
    for name, document in repository.documents("points"):
        point = document["point"]
        notes = ["PARTIAL"] * point["partial"] + ["deleted"] * is_deleted(changes, name)
        print(f"{point['pointId']}  {point['cut']['at']}  {point['plan']}  {point['cut']['consistency']}  "
              f"{','.join(s['source'] for s in point['sources'])}  {sum(s['bytes'] for s in point['sources'])} bytes"
              + "".join(f"  {note}" for note in notes))


def chosen(repository, args):
    """What is to be restored: source, kind, mark, and the backups in order, each with the hash that its manifest must have."""
    point_name, backup_name = f"points/{plain_path(args.point)}", f"backups/{plain_path(args.point)}"
    if (repository.root / point_name).is_file():
        document = repository.document("points", point_name)
        hashes = {each["backupId"]: each["sha256"] for each in document["manifests"]}
        sources = [(s["source"], s["kind"], s["mark"], [(b, hashes[b]) for b in s["backups"]])
                   for s in document["point"]["sources"] if args.source in (None, s["source"])]
        if not sources:
            raise Problem(f"the point holds no source {args.source}")
        return document["point"], sources
    if (repository.root / backup_name).is_file():
        figures = repository.document("backups", backup_name)["figures"]
        return None, [(figures["source"], figures["kind"], None, [(args.point, None)])]
    raise Problem(f"there is no point and no backup {args.point}: see `list` and `list --backups`")


def show(repository, args):
    point, sources = chosen(repository, args)
    print(json.dumps(point or repository.document("backups", f"backups/{args.point}")["figures"], indent=2))
    if point is not None:
        for kind in ("proofs", "holds"):
            for name in repository.names(f"{kind}/{args.point}"):
                print(name, json.dumps(repository.verified(name) if kind == "proofs" else repository.document(kind, name)))
        if is_deleted(newest_changes(repository), f"points/{args.point}"):
            print("this point is deleted: what it stands on may go at any time")
    if args.files:
        repository.load_index()
        for source, _, _, backups in sources:
            for backup, expected in backups:
                for entry in (item for item in repository.tree(backup, expected) if isinstance(item, dict)):
                    print(source, backup, entry["type"], entry.get("size", "-"), entry["path"])


def survey(repository, backup, expected, path):
    """Reads a tree to its end and looks that everything in it is there, before anything is written. Bytes and entries."""
    where, total, left, count, known = f"backups/{backup}", 0, 0, 0, set()
    entry = {"path": "its tree"}
    for item in narrowed(repository.tree(backup, expected), path):
        if isinstance(item, tuple):
            if item[0] not in known:
                repository.assert_there(where, item[0])
                known.add(item[0])
            left, total = left - item[2], total + item[2]
            continue
        if left != 0:
            break
        entry, left, count = item, item.get("size", 0) if item["type"] == "file" else 0, count + 1
        if item["type"] not in ("file", "directory", "symlink", "deleted", "torn"):
            raise damaged(where, f"{plain_path(item['path'])} is of unknown type {item['type']}")
        plain_path(item["path"])
    if left != 0:
        raise damaged(where, f"{entry['path']} has not the blocks of its {entry['size']} bytes")
    return total, count


def restore(repository, args):
    point, sources = chosen(repository, args)
    to = Path(args.to).absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Problem(f"{to} is not an empty directory: nothing was written")
    if args.path is not None and len(sources) != 1:
        raise Problem("a path needs its source: --source")
    path = None if args.path is None else plain_path(args.path.strip("/"))
    if point is not None:
        print(f"point {point['pointId']} of {point['cut']['at']}: {point['cut']['consistency']}"
              + ("; PARTIAL, without " + ", ".join(s["source"] for s in point["skipped"])) * point["partial"])
        if is_deleted(newest_changes(repository), f"points/{args.point}"):
            print("this point is deleted: what it stands on may go at any time")
    print("reading the index and the trees", file=sys.stderr)
    repository.load_index()
    surveys = [survey(repository, *backup, path) for *_, backups in sources for backup in backups]
    if sum(count for _, count in surveys) == 0:
        raise Problem(f"nothing in it is {args.path}: see `show --files`")
    progress, torn, words = Progress(sum(size for size, _ in surveys)), {}, []
    made = not to.exists()
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
            # A part of a tree, or one backup without its mark, is no server's directory.
            lay_out = LAYOUTS.get(kind) if mark is not None and path is None else None
            words.append((source, lay_out(into, mark) if lay_out else "as it lies in the backup, not laid out"))
            into.finish()
            if into.without_xattrs:
                words.append((source, f"{into.without_xattrs} extended attributes could not be set"))
        for each in making.iterdir():
            each.rename(to / each.name)
        making.rmdir()
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        if made:
            to.rmdir()
        raise
    for name in (name for name, is_torn in torn.items() if is_torn):
        print(f"{name} changed while it was backed up: it was padded or cut")
    print(f"restored {progress.done} bytes into {to}")
    for source, word in words:
        print(f"  {to / source} ({source}): {word.replace(str(making), str(to))}")


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
    shown.add_argument("--source", help="only this source")
    restored = command("restore", restore, "restore a point or one backup", "point")
    restored.add_argument("--to", required=True, help="a new or empty directory")
    restored.add_argument("--source", help="only this source")
    restored.add_argument("--path", help="only this path of the source's tree, with all below it")
    restored.add_argument("--no-owners", action="store_true", help="as root: do not set the files' owners")
    args = parser.parse_args()
    try:
        args.run(Repository(args.repository, passphrase_of(args)), args)
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
