"""Calls a function in another process, again if that hangs: SVT-AV1 4.1 does, about once in some hundred encodings."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip

#: AV1 as a parameter of a test whose encoder cannot be elsewhere: on a quiet machine a hang is far less likely.
AV1_HERE = pytest.param("av1", marks=pytest.mark.alone)
P = ParamSpec("P")
T = TypeVar("T")
HUNG_S = 25
ATTEMPTS = 5


def elsewhere(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a module's function returns, which can be pickled. CalledProcessError if it raises."""
    asked = pickle.dumps((function.__module__, function.__name__, args, kwargs))
    for attempt in range(1, ATTEMPTS + 1):
        command = [sys.executable, "-m", "tests.elsewhere"]
        try:
            done = subprocess.run(
                command, input=asked, stdout=subprocess.PIPE, timeout=HUNG_S, check=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # a test folder's modules are found by it
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            if attempt == ATTEMPTS:
                raise
        else:
            return pickle.loads(done.stdout)  # type: ignore[no-any-return]
    raise AssertionError("unreachable")


def safe_clip(*args: Any, **kwargs: Any) -> Clip:
    """`make_clip`, elsewhere if it is AV1's."""
    return elsewhere(make_clip, *args, **kwargs) if kwargs.get("codec") == "av1" else make_clip(*args, **kwargs)


def _answer() -> None:
    module, name, args, kwargs = pickle.load(sys.stdin.buffer)
    made = getattr(importlib.import_module(module), name)(*args, **kwargs)
    sys.stdout.buffer.write(pickle.dumps(made))


if __name__ == "__main__":
    _answer()
