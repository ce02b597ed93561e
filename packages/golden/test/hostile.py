"""Trees that try to lead out of the destination, written with restore.py: hostile.py RESTORE_PY DIRECTORY."""

import importlib.util, os, sys

restore_py, directory = sys.argv[1:3]
spec = importlib.util.spec_from_file_location("restore", restore_py)
restore = importlib.util.module_from_spec(spec)
spec.loader.exec_module(restore)

outside = os.path.join(directory, "outside")
os.mkdir(outside)
precious = os.path.join(outside, "precious")
with open(precious, "w") as file:
    file.write("mine")

META = {"mode": 0o644, "mtimeMs": 1}
def file(path, **more): return {"type": "file", "path": path, "size": 4, "hint": "content", **META, **more}
def link(path, target): return {"type": "symlink", "path": path, "target": target, **META}
def folder(path): return {"type": "directory", "path": path, **META, "mode": 0o755}
def deleted(path): return {"type": "deleted", "path": path}

BODY = (b"name", 0, 4)
TREES = {
    "a parent": [file("../outside/precious"), BODY],
    "a parent further down": [file("a/../../outside/precious"), BODY],
    "an absolute path": [file(precious), BODY],
    "an empty path": [file(""), BODY],
    "a dot": [file("./x"), BODY],
    "a zero byte": [file("x\0y"), BODY],
    "no text": [file(None), BODY],
    "a file through a link": [link("l", outside), file("l/precious"), BODY],
    "a file through a relative link": [link("l", "../outside"), file("l/precious"), BODY],
    "a file through a link to itself's parent": [folder("d"), link("d/l", ".."), link("m", "d/l/../outside"), file("m/precious"), BODY],
    "a body over a link": [link("l", precious), file("l", offset=1), BODY],
    "a directory through a link": [link("l", outside), folder("l/new")],
    "a link through a link": [link("l", outside), link("l/new", "x")],
    "a deletion through a link": [link("l", outside), deleted("l/precious")],
    "a deletion of a parent": [deleted("../outside")],
    "a deletion of all": [deleted(".")],
}
TAKEN = {
    "a file over a link": [link("l", precious), file("l"), BODY],
    "a directory over a link": [link("l", outside), folder("l"), file("l/precious"), BODY],
    "a deletion of a link": [link("l", outside), deleted("l")],
    "a directory with a link below is replaced": [folder("d"), link("d/l", outside), file("d"), BODY],
    "a directory with a link below is deleted": [folder("d"), link("d/l", outside), deleted("d")],
}

for at, (what, tree) in enumerate({**TREES, **TAKEN}.items()):
    into = restore.Destination(os.path.join(directory, f"into-{at}"), owners=False)
    try:
        into.add(restore.narrowed(tree, None), lambda name: b"evil", lambda length: None)
        into.finish()
        was_refused = False
    except (restore.Problem, OSError, AttributeError, TypeError):
        was_refused = True
    if was_refused != (what in TREES):
        sys.exit(f"{what} was {'refused' if was_refused else 'taken'}")
    if sorted(os.listdir(outside)) != ["precious"] or open(precious).read() != "mine":
        sys.exit(f"{what} changed what is outside")
    if sorted(os.listdir(directory)) != sorted(["outside", *(f"into-{n}" for n in range(at + 1))]):
        sys.exit(f"{what} wrote beside the destination")

# The steps of a layout, too, are taken on what a hostile tree left there.
for step in (lambda d: d.write("l/precious", "evil"), lambda d: d.truncate("l/precious", 0), lambda d: d.truncate("f", 0),
             lambda d: d.clear("l/precious"), lambda d: d.make("l/new"), lambda d: d.write("../outside/precious", "evil")):
    at += 1
    into = restore.Destination(os.path.join(directory, f"into-{at}"), owners=False)
    into.add([link("l", outside), link("f", precious)], lambda name: b"", lambda length: None)
    try:
        step(into)
    except (restore.Problem, OSError):
        pass
    else:
        sys.exit("a step went through a link")
    if sorted(os.listdir(outside)) != ["precious"] or open(precious).read() != "mine":
        sys.exit("a step changed what is outside")
print("nothing was written outside")
