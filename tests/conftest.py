"""For all tests: what a property test finds counts, and never how long an example takes on a busy machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_as_it_is = settings.get_profile(settings.get_current_profile_name())  # with CI set: the same examples each time
settings.register_profile("patient", _as_it_is, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
