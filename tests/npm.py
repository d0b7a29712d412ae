"""Packages of the npm registry for tests, in a cache folder outside the project (REELROOM_TEST_CACHE, else the user's
cache). Holds no test."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import need


def installed(folder: str, *packages: str) -> Path:
    """The folder `node_modules` with these packages, each pinned as NAME@VERSION. Without a registry: a skip, in CI a
    failure."""
    need("node", "npm")
    cache = Path(os.environ.get("REELROOM_TEST_CACHE") or Path.home() / ".cache" / "reelroom-test") / folder
    cache.mkdir(parents=True, exist_ok=True)
    modules = cache / "node_modules"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run beside each other
        if not all(_is_there(modules, *package.rsplit("@", 1)) for package in packages):
            done = subprocess.run(
                ["npm", "install", "--no-fund", "--no-audit", "--prefix", str(cache), *packages],
                capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            if done.returncode:
                message = f"npm cannot install {', '.join(packages)}: {done.stderr[-300:]}"
                if os.environ.get("CI") == "true":
                    pytest.fail(message)
                pytest.skip(message)
    return modules


def _is_there(modules: Path, name: str, version: str) -> bool:
    """`version` as it is pinned: a whole one, or the beginning of it."""
    try:
        found = str(json.loads((modules / name / "package.json").read_text())["version"])
    except FileNotFoundError:
        return False
    return f"{found}.".startswith(f"{version}.")
