"""Write what is made of the chart: the golden files, the values table, and the example's topics. `make chart-docs` calls it.

Look at what git says has changed before it is committed: the checks only compare with what this wrote.
"""

from __future__ import annotations

from deploy.checks.rendering import CASES, CHART, EXAMPLES, GOLDEN, golden, readme, topics

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.yaml"):
        old.unlink()
    for case in CASES:
        (GOLDEN / case.name).write_text(golden(case), encoding="utf-8")
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
    (EXAMPLES / "topics.yaml").write_text(topics(), encoding="utf-8")
