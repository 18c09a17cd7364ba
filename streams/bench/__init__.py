"""The benchmark: what the pipeline does a second, stage by stage and end to end, beside plain aiokafka in the same run.

Invariant: workers are real ones, in processes of their own; whatever is measured is a value of `report`, so that a run
can be kept as a file. Each module measures one thing, and `session` puts a run together. Neighbours: `nexus bench`
shows the report; no part of the pipeline imports this room.
"""

from __future__ import annotations

from streams.bench.goals import fallen
from streams.bench.ground import Own
from streams.bench.report import Goal, Growth, Latency, Rate, Report, write_report
from streams.bench.session import FULL, QUICK, Sizes, hold

__all__ = ["FULL", "QUICK", "Goal", "Growth", "Latency", "Own", "Rate", "Report", "Sizes", "fallen", "hold", "write_report"]
