"""Where things are: the source tree and the build that is under test."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("PAWL_TEST_BUILD", ROOT / "build")).resolve()
DATA = ROOT / "tests" / "data"
LONG = bool(os.environ.get("PAWL_TEST_LONG"))  # the long forms of the random tests


def program(name):
    path = BUILD / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not there: run tools/build, or set PAWL_TEST_BUILD")
    return str(path)
