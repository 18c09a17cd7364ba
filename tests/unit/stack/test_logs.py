from __future__ import annotations

from pathlib import Path

from streams.stack.logs import last_words, tail


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert tail(tmp_path / "log", lines=2) == "line 9998\nline 9999"


def test_files_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "log").write_text("out of memory\n")
    assert last_words([tmp_path / "empty", tmp_path / "missing", tmp_path / "log"]) == f"{tmp_path / 'log'}:\nout of memory"
