"""How hard properties look: the same examples every time; with NEXUS_TEST_EXAMPLES=1000 so many others, shrunk when one fails."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES_SWITCH = "NEXUS_TEST_EXAMPLES"
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def depth(usual: int, steps: int = 20) -> settings:
    """Give the settings of a property that usually looks at so many examples. A usual failure is not shrunk: that takes minutes."""
    asked = os.environ.get(EXAMPLES_SWITCH)
    if asked is None:
        usually = settings(max_examples=usual, derandomize=True, phases=[Phase.explicit, Phase.generate])
    else:
        usually = settings(max_examples=int(asked), phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink], print_blob=True)
    return settings(usually, deadline=None, suppress_health_check=_SLOW, stateful_step_count=steps)
