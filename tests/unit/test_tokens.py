"""Tokens: functions of the user's own, plain or async."""

from __future__ import annotations

from pathlib import Path

import pytest

from resolvers.errors import SettingsError
from streams.tokens import tokens_of


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gives_tokens.py").write_text("def plain():\n    return 'a'\n\nasync def slow():\n    return 'b'\n\nnothing = 3\n")
    monkeypatch.syspath_prepend(tmp_path)


async def test_plain_and_async_functions_give_tokens() -> None:
    assert [await tokens_of(f"gives_tokens:{name}").token() for name in ("plain", "slow")] == ["a", "b"]


@pytest.mark.parametrize(("path", "said"), [("gives_tokens:nobody", "cannot be imported"), ("gives_tokens:nothing", "is not a function")])
def test_what_gives_none_is_named(path: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        tokens_of(path)
