from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.bench.meters import Used, cpu_seconds, machine_cpu_seconds, peak_mib

TICK = os.sysconf("SC_CLK_TCK")


def process(proc: Path, pid: int, user: int, system: int, children: str = "") -> None:
    """Write what Linux says of a process, in clock ticks; its name has what names may have."""
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    (task / "children").write_text(children)
    fields = ["S", *["0"] * 10, str(user), str(system), *["0"] * 30]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}")
    (proc / str(pid) / "status").write_text("Name:\ta\nVmHWM:\t  204800 kB\nVmRSS:\t 1024 kB\n")


def test_cpu_time_of_a_process_is_that_of_its_children_too(tmp_path: Path) -> None:
    process(tmp_path, 10, 2 * TICK, TICK, "11 12 ")
    process(tmp_path, 11, TICK, 0)
    assert cpu_seconds(10, tmp_path) == 4.0
    assert cpu_seconds(10, tmp_path, children=False) == 3.0


def test_a_process_that_is_gone_has_no_figure(tmp_path: Path) -> None:
    assert cpu_seconds(10, tmp_path) is None
    assert peak_mib(10, tmp_path) is None
    assert machine_cpu_seconds(tmp_path) is None


def test_peak_memory_is_in_mebibytes(tmp_path: Path) -> None:
    process(tmp_path, 10, 0, 0)
    assert peak_mib(10, tmp_path) == 200.0


def test_a_busy_machine_is_neither_idle_nor_waiting(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(f"cpu  {3 * TICK} 0 {TICK} 900 900 0 0 {TICK} 0 0\ncpu0 1 2 3\n")
    assert machine_cpu_seconds(tmp_path) == 5.0


def test_use_is_told_per_unit() -> None:
    used = Used(worker=3.0, redis=1.5, kafka=None).per_unit_us(Used(worker=1.0, redis=1.0, kafka=None), 1_000)
    assert used == {"worker": 2_000, "redis": 500, "kafka": None}


def test_others_are_what_the_parts_of_the_run_do_not_explain() -> None:
    before, after = Used(0.0, 0.0, None, 0.0, machine=10.0), Used(1.0, 0.5, None, 0.5, machine=15.0)
    assert after.others_cores(before, 2.0) == pytest.approx(1.5)
    assert Used(1.0).others_cores(Used(0.0), 2.0) is None
