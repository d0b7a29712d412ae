"""Random JSON for property tests, and where in a body something can be put. Sends nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
Path = tuple[str | int, ...]


def json_of(leaves: SearchStrategy[Any]) -> SearchStrategy[Json]:
    """Lists and objects, a few deep, of what `leaves` gives."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=8,
    )


#: What JSON (RFC 8259) can say.
json_values = json_of(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)


def paths(body: Any, here: Path = ()) -> list[Path]:
    """The places of everything within `body`, from the outside in."""
    found = [here] if here else []
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        found += paths(value, (*here, key))
    return found
