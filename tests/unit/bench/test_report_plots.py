from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.report_plots import plots
from tests.unit.bench.test_report import REPORT


def test_plots_are_svg_with_every_figure() -> None:
    drawn = plots(REPORT.as_json())
    assert drawn.keys() == {"cpu.svg", "latency.svg"}
    texts = {name: [one.text for one in ET.fromstring(text).iter() if one.text] for name, text in drawn.items()}
    assert {"resolve", "191"} <= set(texts["cpu.svg"])
    assert {"at 0.5 of the rate", "20", "30", "40", "45"} <= set(texts["latency.svg"])
