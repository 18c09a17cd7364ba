"""Values as bytes, for checking: equal values are equal bytes, and long integers keep all their digits."""

from __future__ import annotations

import msgspec

canonical = msgspec.json.Encoder(order="deterministic").encode
"""JSON without spaces, keys sorted. Raises msgspec.MsgspecError, TypeError, ValueError or RecursionError."""

parsed = msgspec.json.Decoder().decode
"""Any JSON. Raises msgspec.DecodeError."""
