"""Modules of any kind are trained to predict the next token, or by a loss of the user's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

import archscout
from archscout import InputError, spaces, training
from archscout.cli import options
from archscout.exports import export
from archscout.promotion import promote
from archscout.spaces import ModuleSpace
from archscout.text import Corpus, load_corpus
from archscout.training import CausalSettings, CausalTrainer, Diverged, Paused, train
from archscout.training.causal.module_loss import NextToken, next_token_loss
from archscout.training.weights import load_best, save_weights

WORDS, LENGTH = 11, 5
SETTINGS = CausalSettings(
    steps=12, batch_size=4, sequence_length=8, evaluate_every=4, learning_rate=1e-2
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A text of few words."""
    path = tmp_path_factory.mktemp("text") / "part.txt"
    path.write_text("the cat sat on the mat and the dog sat on the cat\n" * 60, "utf-8")
    return load_corpus(path)


class Recurrent(nn.Module):
    """With a buffer that training changes, as batch normalisation has it."""

    def __init__(self, words: int, width: int = 8, batch_first: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.states = nn.GRU(width, width, batch_first=batch_first)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        outputs, states = self.states(self.embedding(tokens))
        return self.last(self.norm(outputs.flatten(0, 1)).view_as(outputs)), states


def build(configuration: Any, words: int) -> nn.Module:
    return Recurrent(words, **configuration)


def space(name: str, make: Callable[[Any, int], nn.Module] = build) -> ModuleSpace:
    return ModuleSpace(
        name,
        lambda trial: {"width": 4 * trial.suggest_int("width", 1, 4)},
        make,
        kind="other",
        default_metric="hidden_covariance",
        batch_size=5,
        sequence_length=8,
    )


def trained(of: ModuleSpace, corpus: Corpus, folder: Path, **more: Any) -> Any:
    return train(of, {"width": 8}, corpus, SETTINGS, folder, **more)


def test_a_stopped_training_ends_as_one_that_never_stopped(corpus: Corpus, tmp_path: Path) -> None:
    mine = space("stopped")
    whole = trained(mine, corpus, tmp_path / "whole")
    for until in (0.3, 0.6):
        stopped = trained(mine, corpus, tmp_path / "parts", until=until, resume=until > 0.3)
        assert isinstance(stopped, Paused)
    parts = trained(mine, corpus, tmp_path / "parts", resume=True)
    assert parts.losses == whole.losses
    one, other = whole.network.state_dict(), parts.network.state_dict()
    assert "norm.running_mean" in one
    assert all(one[name].equal(other[name]) for name in one)
    valid = whole.losses["valid"]
    assert valid.nats < math.log(9) - 0.2
    assert valid.perplexity == pytest.approx(math.exp(valid.nats))
    first, *predicted = whole.vocabulary.decode(
        training.parts.splits(corpus, whole.vocabulary.encode)["valid"]
    )
    text = " ".join(["", *predicted]).replace(" <eos>", "\n").replace("\n ", "\n")
    assert first != "<eos>" and valid.bytes == len(text)
    assert valid.bits_per_byte == pytest.approx(
        valid.nats * valid.tokens / math.log(2) / valid.bytes
    )


def test_weights_at_their_best_have_their_buffers(tmp_path: Path) -> None:
    one, other = Recurrent(WORDS), Recurrent(WORDS)
    one.train()(torch.arange(10).view(2, 5))
    save_weights(one, tmp_path / "best.safetensors")
    load_best(other, tmp_path / "best.safetensors", "step")
    assert one.norm.running_mean.any()
    assert other.norm.running_mean.equal(one.norm.running_mean)
    assert int(other.norm.num_batches_tracked) == 1


class Transformers(nn.Module):
    """Returns logits by name, behind a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.model = GPT2LMHeadModel(
            GPT2Config(vocab_size=WORDS, n_positions=8, n_layer=1, n_head=1, n_embd=4)
        )

    def forward(self, tokens: Tensor) -> Any:
        return self.model(tokens, labels=tokens)


class ZeroLast(Recurrent):
    """Its logits are zeros at first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(WORDS, **options)
        nn.init.zeros_(self.last.weight)


@pytest.mark.parametrize(
    ("module", "is_time_first"),
    [
        (Recurrent(WORDS), False),
        (Recurrent(WORDS, batch_first=False), True),
        (ZeroLast(batch_first=False), True),
        (Transformers(), False),
        (nn.Sequential(nn.Embedding(WORDS, 4), nn.Linear(4, WORDS)), False),
    ],
)
def test_how_a_module_reads_texts_is_told(module: nn.Module, is_time_first: bool) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    loss = next_token_loss(module, WORDS, LENGTH, "cpu")
    assert loss == NextToken(WORDS, is_time_first)
    assert module.training
    assert all(value.equal(before[name]) for name, value in module.state_dict().items())
    ids = torch.randint(WORDS, (3, LENGTH + 1))
    module.eval()
    output = module(ids[:, :-1].t() if is_time_first else ids[:, :-1])
    logits = output.logits if hasattr(output, "logits") else output
    logits = logits[0] if isinstance(logits, tuple) else logits
    logits = logits.transpose(0, 1) if is_time_first else logits
    chosen = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])
    torch.testing.assert_close(loss(module, ids), -chosen.mean())


class BothWays(nn.Module):
    """Reads every token of a text, those to come, too; perhaps behind zeros."""

    def __init__(self, zeros: bool) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(WORDS, 4), nn.Linear(4, WORDS)
        self.mixing = nn.Linear(4, 4)
        if zeros:
            nn.init.zeros_(self.mixing.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        return self.last(x + self.mixing(x.mean(1, keepdim=True)))


class Mixed(BothWays):
    """Lets all that it reads act on all."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        return self.last(x + self.mixing(x.mean((0, 1))))


class Nothing(nn.Embedding):
    """Returns nothing."""

    def forward(self, tokens: Tensor) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (nn.Embedding(WORDS, 4), r"shape \(2, 5, 4\) .*logits of the next of 11 .*\(2, 5, 11\)"),
        (nn.Sequential(nn.Embedding(WORDS, 6), nn.Flatten()), r"shape \(2, 30\)"),
        (nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, WORDS)), r"cannot read .* below 11: Index"),
        (Nothing(WORDS, 4), "returned NoneType, which holds no tensor"),
        (BothWays(zeros=False), "reads the tokens that it is to predict"),
        (BothWays(zeros=True), "reads the tokens that it is to predict"),
        (Mixed(zeros=False), "lets the texts of a batch act on each other"),
    ],
)
def test_a_module_that_gives_no_next_token_is_refused(module: nn.Module, complaint: str) -> None:
    with pytest.raises(training.Untrainable, match=complaint):
        next_token_loss(module, WORDS, LENGTH, "cpu")


def test_a_loss_of_the_users_trains(corpus: Corpus, tmp_path: Path) -> None:
    mine = space("own-loss", lambda *_: nn.Embedding(20, 20))

    def pairs(module: nn.Module, ids: Tensor) -> Tensor:
        return nn.functional.cross_entropy(module(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    trainer = CausalTrainer(mine, loss=pairs)
    found: Any = trainer.train(mine, {}, corpus, SETTINGS, tmp_path)
    assert found.records[-1].valid_loss < found.records[0].valid_loss
    ids = training.parts.splits(corpus, found.vocabulary.encode)["valid"]
    assert found.losses["valid"].nats == pytest.approx(pairs(found.network, ids[None]).item())


@pytest.mark.parametrize(
    ("loss", "complaint"),
    [
        (lambda module, ids: None, r"<lambda> returned None for token ids \(4, 9\): accepted is"),
        (lambda module, ids: torch.zeros(2), r"returned shape \(2,\)"),
        (lambda module, ids: torch.tensor(1.0), "returned a tensor without a gradient"),
    ],
)
def test_what_a_loss_must_return(loss: Any, complaint: str, corpus: Corpus, tmp_path: Path) -> None:
    mine = space("bad-loss")
    with pytest.raises(training.Untrainable, match=complaint):
        CausalTrainer(mine, loss=loss).train(mine, {"width": 8}, corpus, SETTINGS, tmp_path)


def test_a_loss_that_is_no_number_ends_the_training(corpus: Corpus, tmp_path: Path) -> None:
    mine = space("nan")

    def nan(module: Any, ids: Tensor) -> Tensor:
        return module.last.weight.sum() * math.nan

    with pytest.raises(Diverged, match="in step 1: the loss is nan"):
        CausalTrainer(mine, loss=nan).train(mine, {"width": 8}, corpus, SETTINGS, tmp_path)


def test_a_trainer_is_registered(corpus: Corpus) -> None:
    mine = space("registered")
    spaces.register(mine)
    assert isinstance(training.find_trainer("registered"), CausalTrainer)
    trainer = CausalTrainer(mine, loss=lambda *_: torch.zeros(()))
    training.register(trainer)
    assert training.find_trainer(mine) is training.trainers()["registered"] is trainer
    del training.trainers()["registered"]


def test_word_pieces_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    mine = space("pieces")
    mine.tokenization = "wordpiece"
    with pytest.raises(InputError, match=r"'pieces' reads word pieces.*accepted .* words and bpe"):
        trained(mine, corpus, tmp_path)


def test_a_budget_is_spent_and_one_that_cannot_be_trained_left(
    corpus: Corpus, tmp_path: Path
) -> None:
    def sometimes(configuration: Any, words: int) -> nn.Module:
        if configuration["width"] == 16:
            return nn.Sequential(nn.Embedding(words, 16), nn.GRU(16, 16, batch_first=True))
        return build(configuration, words)

    mine = space("budget", sometimes)
    spaces.register(mine)
    run = archscout.search(mine, corpus.given or corpus.sources, trials=8, out=tmp_path / "run")
    settings = SETTINGS.resized(steps=18)
    promotion = promote(run, 2, settings)
    problems = {each.fingerprint: each.problem for each in promotion.candidates}
    failed = mine.fingerprint({"width": 16})
    assert promotion.winner.fingerprint != failed and promotion.winner.results
    assert "GRU" not in str(problems.get(failed)) and "returned" in str(problems[failed])
    model = run.folder.path / "promoted/trainings" / promotion.winner.fingerprint / "model"
    readme = (model / "README.md").read_text("utf-8")
    architecture = mine.parse((model / "genotype.json").read_text("utf-8"))
    code = readme.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"space": mine}
    exec(code.replace('"model', f'"{model}'), names)
    assert mine.fingerprint(architecture) == promotion.winner.fingerprint
    assert names["model"].norm.num_batches_tracked == 18 or names["model"].norm.running_mean.any()
    assert len(names["tokenizer"]) == names["model"].last.out_features


def test_a_module_of_transformers_is_exported_as_one(corpus: Corpus, tmp_path: Path) -> None:
    def gpt2(configuration: Any, words: int) -> nn.Module:
        ends = {"bos_token_id": None, "eos_token_id": None}
        sizes = {"n_positions": 8, "n_layer": 1, "n_head": 1, "n_embd": configuration["width"]}
        return GPT2LMHeadModel(GPT2Config(vocab_size=words, **sizes, **ends))

    mine, words = space("gpt2s", gpt2), corpus.vocabulary()
    network = mine.build({"width": 4}, len(words), None, 0)
    export(mine, {"width": 4}, network, words, tmp_path / "model")
    readme = (tmp_path / "model" / "README.md").read_text("utf-8")
    names: dict[str, Any] = {}
    code = readme.partition("```python\n")[2].partition("```")[0]
    exec(code.replace('"model"', f'"{tmp_path / "model"}"'), names)
    assert isinstance(names["model"], GPT2LMHeadModel)
    for one, other in zip(network.parameters(), names["model"].parameters(), strict=True):
        assert one.equal(other)
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert config["bos_token_id"] == words.encode(["<eos>"]).item()


def test_a_plugin_is_run_once(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(
        "from torch import nn\n"
        "from archscout import spaces\n"
        "def suggest(trial):\n    return {'width': trial.suggest_int('width', 1, 3)}\n"
        "def build(configuration, words):\n    return nn.Embedding(words, configuration['width'])\n"
        "spaces.register(spaces.ModuleSpace('plugged', suggest, build, kind='other',\n"
        "    default_metric='parameters'))\n"
    )
    options.load_plugins([file, file])
    assert spaces.get("plugged").sample(0)["width"] in (1, 2, 3)
    with pytest.raises(InputError, match=r"no file .*absent.py'; a file of Python is accepted"):
        options.load_plugins([tmp_path / "absent.py"])
