"""Checks on data that stays outside of the project.

They are extra: whoever has only the project runs everything that it promises without them, on samples of its own. So they
are left out, and say so, where the data is not beside the project.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"


def needs(path: Path) -> pytest.MarkDecorator:
    """Leave a check out where the data that it is on is missing."""
    return pytest.mark.skipif(not path.exists(), reason=f"an extra check, on data that is no part of the project and is not at {path}")
