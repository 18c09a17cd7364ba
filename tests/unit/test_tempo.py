from __future__ import annotations

from streams.tempo import Look, Phase, Tempo


def looks(*seen: tuple[float, int]) -> list[Look]:
    now = [0.0]
    tempo = Tempo(lambda: now[0])
    found = []
    for seconds, done in seen:
        now[0] = seconds
        found.append(tempo.look(Phase.APPLYING, done, 1_000))
    return found


def test_the_rate_tells_how_long_it_will_take() -> None:
    assert looks((0, 0), (2, 200))[-1] == Look(Phase.APPLYING, 200, 1_000, 100.0, 8.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    assert looks((0, 0), (100, 0), (121, 210))[-1].per_second == 10.0


def test_nothing_is_foretold_while_nothing_moves_or_what_was_done_is_lost() -> None:
    assert looks((0, 500))[0].left_seconds is None
    assert looks((0, 500), (1, 0))[-1] == Look(Phase.APPLYING, 0, 1_000, 0.0, None)


def test_stillness_counts_from_the_last_move() -> None:
    now = [0.0]
    tempo = Tempo(lambda: now[0])
    for seconds, done in ((0.0, 0), (5.0, 1), (12.0, 1)):
        now[0] = seconds
        tempo.look(Phase.TELLING, done, 9)
    assert tempo.still_seconds == 7.0
