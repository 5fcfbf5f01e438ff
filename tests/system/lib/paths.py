"""Where things are: the source tree and the build that is under test."""

import os
import pathlib
import signal

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("PAWL_TEST_BUILD", ROOT / "build")).resolve()
DATA = ROOT / "tests" / "data"
LONG = bool(os.environ.get("PAWL_TEST_LONG"))  # the long forms of the random tests


def program(name):
    path = BUILD / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not there: run tools/build, or set PAWL_TEST_BUILD")
    return str(path)


def heed_interrupts():
    """For a child on a terminal of its own: a test run in the background ignores SIGINT, and its children would, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
