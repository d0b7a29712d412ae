"""Agora's cloud recording REST API, translated to and from the domain."""
