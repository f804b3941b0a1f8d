"""Which architectures are trained, with which seeds, and in which order."""

from __future__ import annotations

import pytest

from archscout import spaces
from archscout.benchmarks.build import plan_jobs
from archscout.benchmarks.build.plan import choose
from archscout.errors import InputError
from archscout.spaces import GptSpace

RNN, FLEXIBERT = spaces.get("rnn"), spaces.get("flexibert")


def test_named_cells_come_first_and_all_differ() -> None:
    found = choose(RNN, 12, seed=1)
    assert found[: len(RNN.named)] == list(RNN.named.values())
    assert len({RNN.fingerprint(a) for a in found}) == 12
    assert choose(RNN, 12, seed=1) == found != choose(RNN, 12, seed=2)
    assert choose(RNN, 8, seed=1) == found[:8]


def test_every_architecture_once_before_any_twice() -> None:
    jobs = plan_jobs(RNN, choose(RNN, 10), seed=4, repeated=3, repeats=2)
    names = [f"000{i}-4" for i in range(10)] + [f"000{i}-{s}" for s in (5, 6) for i in (0, 3, 6)]
    assert [job.name for job in jobs] == names
    assert [job.seed for job in jobs] == [4] * 10 + [5] * 3 + [6] * 3
    assert jobs[3].architecture == jobs[11].architecture


def test_names_sort_as_numbers_do() -> None:
    names = [job.name for job in plan_jobs(FLEXIBERT, choose(FLEXIBERT, 11))]
    assert names[0] == "0000-0" and sorted(names) == names


def test_bad_plans() -> None:
    with pytest.raises(InputError, match="0 architectures"):
        choose(RNN, 0)
    cells = choose(RNN, 3)
    with pytest.raises(InputError, match="architectures 1 and 4 of the list are the same"):
        plan_jobs(RNN, [*cells, cells[0]])
    with pytest.raises(InputError, match="accepted are 0 to 3"):
        plan_jobs(RNN, cells, repeated=4)
    with pytest.raises(InputError, match="0 more times"):
        plan_jobs(RNN, cells, repeated=1, repeats=0)


def test_named_decoders_of_other_sizes_are_left_out() -> None:
    space = GptSpace()
    found = choose(space, 6, seed=1, sizes=(100_000, 1_000_000))
    assert all(100_000 <= space.size(each) <= 1_000_000 for each in found)
    tiny = [space.named[name] for name in space.named if name.endswith("tiny")]
    assert found[: len(tiny)] == tiny and space.named["gpt2"] not in found
    assert space.named["gpt2"] in choose(space, 6, seed=1)


def test_sizes_that_nothing_has_are_told() -> None:
    with pytest.raises(InputError, match="no decoder was found with 1 to 2 decoder parameters"):
        choose(GptSpace(), 3, sizes=(1, 2))


def test_what_was_repeated_stays_so_when_a_benchmark_grows() -> None:
    cells = choose(RNN, 15, seed=1)
    before = plan_jobs(RNN, cells[:10], 0, 3, 2)
    for n, repeated, repeats in ((15, 3, 2), (10, 5, 2), (15, 6, 2), (10, 3, 3)):
        grown = plan_jobs(RNN, cells[:n], 0, repeated, repeats, before)
        assert all(job in grown for job in before)
        assert len(grown) == len(set(map(str, grown))) == n + repeated * repeats


def test_a_seed_of_a_repeat_that_is_too_large_is_refused() -> None:
    cells = choose(RNN, 3)
    assert len(plan_jobs(RNN, cells, 2**32 - 1)) == 3
    with pytest.raises(InputError, match="seed is 4294967297"):
        plan_jobs(RNN, cells, 2**32 - 1, 1)


def test_what_was_repeated_is_repeated_as_often_where_nothing_is_said() -> None:
    cells = choose(RNN, 15, seed=1)
    for repeats in (1, 2, 5):
        before = plan_jobs(RNN, cells[:10], 0, 3, repeats)
        assert plan_jobs(RNN, cells[:10], before=before) == before
        assert len(plan_jobs(RNN, cells, before=before)) == 15 + 3 * repeats
