"""What a program of vectors is given, PROGRAM RESTORE_PY VECTORS, and how it judges: the first that does not fit ends it."""

import importlib.util, json, sys

restore_py, vectors_json = sys.argv[1:3]
spec = importlib.util.spec_from_file_location("restore", restore_py)
restore = importlib.util.module_from_spec(spec)
spec.loader.exec_module(restore)
vectors = json.load(open(vectors_json))
checked = 0


def equal(what, actual, expected):
    global checked
    checked += 1
    if actual != expected:
        sys.exit(f"{what}: {actual!r}, and not {expected!r}")


def refused(what, call):
    global checked
    checked += 1
    try:
        call()
    except restore.Problem:
        return
    sys.exit(f"{what} was taken")


def say_all_fit():
    print(f"{checked} vectors fit")
