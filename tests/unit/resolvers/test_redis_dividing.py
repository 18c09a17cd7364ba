from __future__ import annotations

from typing import Any

from resolvers.redis_dividing import divide
from resolvers.settlement import Divide


class Steps:
    """Takes steps down, and goes on in all of them by so much at once."""

    def __init__(self, at_once: int, *, small: bool = True) -> None:
        self.taken: list[tuple[str, Any]] = []
        self._at_once = at_once
        self._small = small

    async def __call__(self, kind: str, payload: list[Any]) -> tuple[int, ...] | None:
        self.taken.append((kind, payload))
        match kind:
            case "divide":
                return (0,) if self._small else None
            case "flatten":
                return (0,) if payload[1] else (7,)
            case "cut":
                return (min(self._at_once, len(payload[1])),)
            case "fold":
                return (1, 0, 0) if payload[1] else (0, payload[0][0], 5)
            case "let_go":
                return (int(sum(one == (kind, payload) for one in self.taken) == 1),)
            case _:
                return (0,)


async def test_a_small_part_is_divided_in_one_step() -> None:
    steps = Steps(9)
    await divide(steps, Divide(1, ((1,), (3, 2)), (4,), (1, 2, 3, 4)), 4)
    assert steps.taken == [("divide", [1, ((1,), (3, 2)), (4,)])]


async def test_a_large_part_is_cut_in_the_order_of_its_circle_and_its_founder_is_told_last() -> None:
    steps = Steps(2)
    await divide(steps, Divide(1, ((1, 5), (3, 2)), (4, 6), (1, 2, 3, 4, 5, 6)), 3)
    assert steps.taken == [
        ("flatten", [1, 0]),
        ("flatten", [1, 7]),
        ("cut", [1, [[2, 2], [3, 2], [4, 4]]]),
        ("cut", [1, [[4, 4], [5, 5], [6, 4]]]),
        ("cut", [1, [[6, 4], [1, 5]]]),
        ("fold", [[5], 0, 0]),
        ("fold", [[5], 5, 5]),
        ("finish", [[[5, 1]]]),
        ("fold", [[2], 0, 0]),
        ("fold", [[2], 2, 5]),
        ("finish", [[[2, 1]]]),
        ("let_go", [4]),
        ("let_go", [4]),
    ]


async def test_a_part_of_few_identifiers_and_many_links_is_divided_in_portions_too() -> None:
    steps = Steps(9, small=False)
    await divide(steps, Divide(1, ((1,), (2,)), (), (1, 2)), 4)
    assert [kind for kind, _ in steps.taken] == ["divide", "flatten", "flatten", "cut", *["fold"] * 4, "finish"]


async def test_of_very_many_pieces_the_first_hundred_are_told_as_split_off() -> None:
    steps = Steps(500)
    await divide(steps, Divide(1, tuple((n,) for n in range(1, 301)), (), tuple(range(1, 301))), 90)
    finished = [one for kind, payload in steps.taken if kind == "finish" for one in payload[0]]
    assert finished == [[n, int(n <= 100)] for n in range(1, 301)]
