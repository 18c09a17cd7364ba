from __future__ import annotations

from pathlib import Path

from streams.cli.reference import page

PAGE = Path(__file__).parents[3] / "docs/reference/cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m streams.cli.reference > docs/reference/cli.md"


def test_a_command_of_a_group_is_there_with_its_arguments() -> None:
    assert "\n## `nexus topics plan`\n" in page()
    assert "\n## `nexus publish SOURCE FILES...`\n" in page()
    assert "| `--source NAME=FILE` | must be given |" in page()
