"""Packages of npm that tests use unmodified (tests/npm)."""

import subprocess

from .paths import ROOT

NPM = ROOT / "tests" / "npm"


def packages():
    """Installs them when they are not there."""
    if not all((NPM / "node_modules" / name).is_dir() for name in ("tuf-js", "cctv-age", "@redocly/openapi-core")):
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NPM, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
