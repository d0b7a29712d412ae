"""ZEGO's cloud recording server API (version 2), translated to and from the domain."""
