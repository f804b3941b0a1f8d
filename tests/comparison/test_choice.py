"""Which candidates are trained."""

from collections.abc import Callable

import pytest

from archscout.comparison.choice import choose, random_proposals
from archscout.errors import InputError
from archscout.runs import Run
from archscout.spaces import RecurrentSpace

Hunt = Callable[..., Run]
SPACE = RecurrentSpace()


def ranked(run: Run) -> list[str]:
    """Fingerprints of those with a rank, best first."""
    return list(run.table.loc[run.table["front"].notna(), "fingerprint"])


def test_the_best_are_the_runs_and_the_others_are_no_best_ones(run: Run) -> None:
    chosen = choose(run, 3)
    best = ranked(run)[:3]
    assert list(chosen.top["fingerprint"]) == best
    drawn = list(chosen.random["fingerprint"])
    assert len(set(drawn)) == 3 and not set(drawn) & set(best)
    assert set(drawn) <= set(ranked(run))
    assert list(chosen.random["rank"]) == sorted(chosen.random["rank"])


def test_the_random_ones_were_proposed_before_the_sampler_had_seen_a_score(run: Run) -> None:
    chosen = choose(run, 3)
    assert (chosen.random["trial"] < 8).all() and chosen.late == 0
    named = {SPACE.fingerprint(cell) for cell in SPACE.named.values()}
    others = run.table[run.table["front"].notna()].iloc[3:]
    others = others[~others["fingerprint"].isin(named)]
    assert chosen.pool == (others["trial"] < 8).sum()
    assert not named & {*chosen.random["fingerprint"]}


def test_later_ones_fill_up_and_are_counted(hunt: Hunt) -> None:
    run = hunt(population_size=2, trials=40)
    chosen = choose(run, 4)
    assert len(chosen.random) == 4 and chosen.pool <= 2
    assert chosen.late == (chosen.random["trial"] >= 2).sum() == 4 - chosen.pool


def test_with_more_of_each_the_same_are_drawn_and_more(run: Run) -> None:
    few, more = choose(run, 2), choose(run, 4)
    now = {*more.top["fingerprint"], *more.random["fingerprint"]}
    assert {*few.top["fingerprint"], *few.random["fingerprint"]} <= now


def test_the_draw_follows_from_the_seed(run: Run) -> None:
    again = Run(run.folder.path)
    assert list(choose(again, 3).random["fingerprint"]) == list(
        choose(run, 3).random["fingerprint"]
    )
    draws = set()
    for seed in range(6):
        again.settings = again.settings.model_copy(update={"seed": seed})
        draws.add(tuple(choose(again, 2).random["fingerprint"]))
    assert len(draws) > 1


def test_fewer_others_are_all_taken(run: Run) -> None:
    n = len(ranked(run))
    chosen = choose(run, n - 1)
    assert len(chosen.top) == n - 1 and list(chosen.random["fingerprint"]) == ranked(run)[-1:]


def test_without_others_there_is_nothing_to_compare_with(run: Run) -> None:
    n = len(ranked(run))
    for k in (0, -1, n, n + 5):
        with pytest.raises(InputError, match=f"has {n} within .* so 1 to {n - 1} is accepted"):
            choose(run, k)


def test_of_several_objectives_the_best_are_those_that_the_run_ranks_first(hunt: Hunt) -> None:
    run = hunt(metrics="hidden_covariance[1],parameters")
    assert list(choose(run, 3).top["rank"]) == [1, 2, 3]


@pytest.mark.parametrize(("sampler", "expected"), [("random", 24), ("nsga2", 8), ("tpe", 10)])
def test_each_sampler_starts_at_random(sampler: str, expected: int, run: Run) -> None:
    assert random_proposals(run.settings.model_copy(update={"sampler": sampler})) == expected


def test_the_first_proposals_do_not_depend_on_scores(hunt: Hunt) -> None:
    """What `random_proposals` counts are the same architectures whatever is improved."""
    for sampler in ("nsga2", "tpe"):
        settings = {"sampler": sampler, "trials": 12}
        one, other = (
            hunt(metrics=f"hidden_covariance[1]:{way}", **settings) for way in ("min", "max")
        )
        first = random_proposals(one.settings)
        params = [[trial.params for trial in run.trials] for run in (one, other)]
        assert params[0][:first] == params[1][:first]
        assert params[0] != params[1]
