"""How a benchmark that needs a Redis is asked for, and how its figures are printed."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any


def print_figures(description: str | None, run: Callable[[str, int], Awaitable[dict[str, Any]]], size: str, usual: int) -> None:
    """Read the address of a Redis and how much of what `size` names, run, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True, help="an otherwise idle Redis or Valkey; its statistics are reset")
    parser.add_argument(f"--{size}", type=int, default=usual, dest="size")
    chosen = parser.parse_args()

    async def figures() -> dict[str, Any]:
        return await run(chosen.redis, chosen.size)

    print(json.dumps(asyncio.run(figures()), indent=1))
