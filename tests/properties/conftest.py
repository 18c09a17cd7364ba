"""How hard properties look: the same examples every time, with a profile to look further by hand (`--hypothesis-profile=deep`)."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
_PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # without `explain`, which traces every line

settings.register_profile("usual", deadline=None, derandomize=True, max_examples=60, suppress_health_check=_SLOW, phases=_PHASES)
settings.register_profile("deep", deadline=None, max_examples=2_000, suppress_health_check=_SLOW, phases=_PHASES)
settings.load_profile("usual")
