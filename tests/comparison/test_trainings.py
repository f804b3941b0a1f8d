"""Real trainings, small ones: what is trained, kept, reused, and handed over."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from archscout.comparison import Proof, check_count, hand_over, load_proof, prove
from archscout.comparison.choice import choose
from archscout.errors import InputError
from archscout.runs import Run
from archscout.spaces import FlexibertSpace
from archscout.training import preset, train
from archscout.training.jobs import JobFolder, Outcome, Standing
from archscout.training.jobs.job_folder import PLAN

Hunt = Callable[..., Run]
SETTINGS = preset("quick").resized(
    epochs=1, batch_size=4, evaluation_batch_size=2, sequence_length=8
)


@pytest.fixture(scope="module")
def proven(hunt: Hunt) -> tuple[Run, Proof]:
    """A run whose best and one random candidate are trained."""
    run = hunt()
    return run, prove(run, 1, SETTINGS)


@pytest.fixture
def copied(proven: tuple[Run, Proof], tmp_path: Path) -> Run:
    """The same, to be changed."""
    shutil.copytree(proven[0].folder.path, tmp_path / "run")
    return Run(tmp_path / "run")


def outcomes(run: Run) -> dict[str, int]:
    """When each training ended."""
    return {
        path.stem: path.stat().st_mtime_ns
        for path in (run.folder.path / "trained" / "outcomes").iterdir()
    }


def finish_all(monkeypatch: pytest.MonkeyPatch, loss: float = 4.0) -> list[str]:
    """Trainings take no time from now on; gives the names of those that are done."""
    done: list[str] = []

    def train_all(folder: JobFolder, *_: Any) -> dict[str, Outcome]:
        for job in [job for job in folder.jobs if folder.outcome(job) is None]:
            done.append(job.name)
            nats = {part: {"nats": loss} for part in ("valid", "test")}
            folder.record(Outcome(job.name, None, 1.0, {"losses": nats}))
        return folder.outcomes()

    monkeypatch.setattr("archscout.comparison.trainings.train_all", train_all)
    return done


@pytest.mark.slow
def test_the_chosen_are_trained_as_train_would(
    proven: tuple[Run, Proof], words: Path, tmp_path: Path
) -> None:
    run, proof = proven
    chosen = choose(run, 1)
    assert [t.fingerprint for t in proof.top] == list(chosen.top["fingerprint"])
    assert [t.fingerprint for t in proof.random] == list(chosen.random["fingerprint"])
    assert load_proof(run.folder.path) == proof
    (top,) = proof.top
    alone = train(
        run.space, top.architecture, words, SETTINGS, tmp_path / "alone", scale=run.model_scale
    )
    assert top.losses == {part: loss.nats for part, loss in alone.losses.items()}
    assert top.scores == {"hidden_covariance[1]": run.table["hidden_covariance[1]"].iloc[0]}
    assert top.parameters == run.table["parameters"].iloc[0]
    assert proof.part == "test" and proof.measure == "perplexity" and top.seconds > 0


@pytest.mark.slow
def test_the_winner_is_handed_over_with_its_trained_weights(
    proven: tuple[Run, Proof], words: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    run, proof = proven
    winner = proof.winner
    assert winner is not None
    assert hand_over(run, proof, tmp_path / "model") == tmp_path / "model"
    genotype = json.loads((tmp_path / "model" / "genotype.json").read_text())
    assert run.space.fingerprint(run.space.parse(genotype)) == winner.fingerprint
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "trained on words.txt, validation perplexity" in readme
    alone = train(
        run.space, winner.architecture, words, SETTINGS, tmp_path / "alone", scale=run.model_scale
    )
    exported = load_file(tmp_path / "model" / "model.safetensors")
    trained = {name: p.detach() for name, p in alone.model.named_parameters()}
    matched = 0
    for name, weight in trained.items():
        found = [e for key, e in exported.items() if key.endswith(name)]
        matched += sum(torch.equal(e, weight) for e in found if e.shape == weight.shape)
    assert matched >= len(trained)


@pytest.mark.slow
def test_a_model_that_is_gone_is_named(
    proven: tuple[Run, Proof], copied: Run, tmp_path: Path
) -> None:
    for path in (copied.folder.path / "trained").rglob("model"):
        shutil.rmtree(path)
    with pytest.raises(InputError, match="the trained winner, is gone"):
        hand_over(copied, proven[1], tmp_path / "model")


@pytest.mark.slow
def test_nothing_is_trained_twice_and_more_of_each_reuse_what_is_there(
    proven: tuple[Run, Proof], copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outcomes(copied)
    done = finish_all(monkeypatch)
    assert prove(copied, 1, SETTINGS) == proven[1]
    assert done == []
    more = prove(copied, 3, SETTINGS)
    names = {t.fingerprint for t in more.trainees}
    assert set(done) == names - set(before) and len(done) == len(set(done))
    assert {name: outcomes(copied)[name] for name in before} == before
    assert [t.losses for t in more.trainees if t.fingerprint in before] == [
        t.losses for t in proven[1].trainees if t.fingerprint in names
    ]
    # Fewer again: nothing is trained, and nothing is lost.
    assert prove(copied, 1, SETTINGS) == proven[1]
    assert len(outcomes(copied)) == len(names | set(before))


@pytest.mark.slow
def test_another_recipe_or_text_is_refused(
    copied: Run, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="epochs is 1 there, 2 here") as caught:
        prove(copied, 1, SETTINGS.resized(epochs=2))
    assert f"or remove {copied.folder.path / 'trained'} to begin anew" in str(caught.value)
    copied.information["text"]["sha256"] = "0" * 64
    with pytest.raises(InputError, match=r"the text 'words.txt' has changed"):
        prove(copied, 1, SETTINGS)


def test_a_failure_is_kept_as_one(hunt: Hunt, monkeypatch: pytest.MonkeyPatch) -> None:
    run = hunt()

    def fail_all(folder: JobFolder, *_: Any) -> dict[str, Outcome]:
        for job in [job for job in folder.jobs if folder.outcome(job) is None]:
            folder.record(Outcome(job.name, "the loss is no number", 2.0))
        return folder.outcomes()

    monkeypatch.setattr("archscout.comparison.trainings.train_all", fail_all)
    proof = prove(run, 2, SETTINGS)
    assert [t.problem for t in proof.trainees] == ["the loss is no number"] * 4
    assert proof.part == "valid" and proof.winner is None
    assert load_proof(run.folder.path) == proof
    assert hand_over(run, proof, run.folder.path / "model") is None


def test_another_process_in_the_folder_is_noticed(
    hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hunt()
    finish_all(monkeypatch)
    with run.folder.lock(), pytest.raises(InputError, match="another process runs in"):
        prove(run, 1, SETTINGS)


def test_the_trainings_are_at_the_model_scale_with_the_seed_of_the_run(
    hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_all(monkeypatch)
    larger = Run(hunt().folder.path).model_scale.resized(hidden_size=9, embedding_size=9)
    run = hunt(model_scale=larger, seed=3, vocabulary_size=20)
    prove(run, 1, SETTINGS)
    plan = json.loads((run.folder.path / "trained" / PLAN).read_text())
    assert plan["plan"]["scale"]["hidden_size"] == 9
    assert plan["plan"]["vocabulary_size"] == run.vocabulary_size == 20
    assert {job["seed"] for job in plan["jobs"]} == {3}
    assert plan["plan"]["keep_weights"] is True


def test_how_many_can_be_checked_before_the_search() -> None:
    assert check_count(5, 6) == 5
    for k in (0, -2, 6, 7):
        with pytest.raises(InputError, match=f"the best {k} of 6 proposals"):
            check_count(k, 6)


@pytest.mark.slow
def test_encoders_are_proven_by_what_they_are_pretrained_for(hunt: Hunt, tmp_path: Path) -> None:
    scale = FlexibertSpace.scales["fast"].resized(batch_size=2, sequence_length=8)
    run = hunt(space="flexibert", metrics="parameters:max", trials=4, scale=scale)
    settings = preset("quick", "flexibert").resized(
        steps=2, evaluate_every=1, batch_size=2, sequence_length=8
    )
    standings: list[Standing] = []
    proof = prove(run, 1, settings, on_progress=standings.append)
    assert proof.measure == "pretraining loss"
    assert [t.problem for t in proof.trainees] == [None, None]
    assert standings[-1].done == standings[-1].total == 2
    winner = proof.winner
    assert winner is not None
    assert hand_over(run, proof, tmp_path / "model") is not None
    genotype = json.loads((tmp_path / "model" / "genotype.json").read_text())
    assert run.space.fingerprint(run.space.parse(genotype)) == winner.fingerprint
    assert "pretrained on" in (tmp_path / "model" / "README.md").read_text()
