"""`archscout` with the FlexiBERT space."""

import csv
import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout import score as score_directly
from archscout.metrics import available
from archscout.runs import Run
from archscout.spaces import EncoderGenotype, FlexibertSpace
from archscout.text import WordPiece, load_corpus

SPACE = FlexibertSpace()
NARROW = [g for g in SPACE.published_sample if g.hidden_size == 128]
SHALLOW = next(g for g in NARROW if g.num_layers == 2)
DEEP = next(g for g in NARROW if g.num_layers == 4)
MARKS = [SPACE.fingerprint(SHALLOW), SPACE.fingerprint(DEEP)]
SIZES = {"embedding_size": 16, "batch_size": 2, "sequence_length": 8}


def sizes(*given: object) -> list[str]:
    """The sizes above, but for those that are given."""
    names = {str(each).partition("=")[0] for each in given}
    return [x for k, v in SIZES.items() if k not in names for x in ("--size", f"{k}={v}")]


TINY = sizes()
PAPER = (
    *("activation_distance", "head_confidence", "head_importance", "jacobian_cosine"),
    *("jacobian_covariance", "softmax_confidence", "synaptic_diversity", "synaptic_saliency"),
)
ENCODER_METRICS = [
    name for name in available("transformer") if name.removesuffix("_normalized") in PAPER
]
PARAMETERS = ("--metrics", "parameters")
Program = Any  # see conftest.py


def layer(**changes: Any) -> dict[str, Any]:
    usual = {
        "operation_type": "SA",
        "operation_parameter": "SDP",
        "num_operation_heads": 2,
        "feed_forward_dimension": 512,
        "num_feed_forward": 1,
    }
    return usual | changes


def document(*layers: Any, hidden_size: int = 128) -> dict[str, Any]:
    return {"hidden_size": hidden_size, "nas_config": {"encoder_layers": list(layers)}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with architectures, tokenizers and things that are neither."""
    place = tmp_path_factory.mktemp("encoders")
    (place / "two.jsonl").write_text(f"{SHALLOW.to_json()}\n{DEEP.to_json()}\n")
    (place / "one.json").write_text(SHALLOW.to_json())
    (place / "short.txt").write_text("one two three")
    (place / "empty").mkdir()
    text = " ".join(f"v{i % 50} w{i % 40}" for i in range(2000))
    WordPiece.train(text).save_pretrained(place / "pieces")
    return place


@pytest.fixture
def score(archscout: Program, words: Path, place: Path) -> Program:
    """The scores of the two encoders, or of what is named in their place."""

    def run(*arguments: object, of: object = "two.jsonl") -> Any:
        files = [place / str(name) for name in (of if isinstance(of, list) else [of])]
        return archscout(
            "score", "flexibert", *files, "--text", words, *sizes(*arguments), *arguments
        )

    return run


@pytest.fixture
def values(score: Program) -> Callable[..., list[dict[str, Any]]]:
    """The scores of each architecture."""

    def run(*arguments: object, **options: Any) -> list[dict[str, Any]]:
        result = score("--json", *arguments, **options)
        assert result.code == 0 and result.err == ""
        return [json.loads(line)["scores"] for line in result.lines]

    return run


def complaint_of(result: Any) -> str:
    """The one message of a mistake."""
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("Error: ") and len(result.err.splitlines()) <= 2
    return str(result.err)


# sample


def test_samples_are_different_encoders_one_a_line(archscout: Program) -> None:
    result = archscout("sample", "flexibert", "-n", 20, "--seed", 4)
    assert result.code == 0 and result.err == ""
    genotypes = [SPACE.parse(line) for line in result.lines]
    assert len(set(genotypes)) == 20
    assert genotypes[0] == SPACE.sample(4)
    assert archscout("sample", "flexibert", "-n", 3, "--seed", 4).lines == result.lines[:3]
    assert archscout("sample", "flexibert", "-n", 3, "--seed", 5).lines != result.lines[:3]


@pytest.mark.parametrize(("arguments", "count"), [([], 500), (["-n", 3], 3), (["-n", 900], 500)])
def test_the_published_sample_stands_in_the_order_of_its_ids(
    arguments: list[Any], count: int, archscout: Program
) -> None:
    result = archscout("sample", "flexibert", "--published", *arguments)
    assert result.code == 0 and result.err == ""
    assert [SPACE.parse(line) for line in result.lines] == list(SPACE.published_sample[:count])


def test_recurrent_cells_have_no_published_sample(archscout: Program) -> None:
    message = complaint_of(archscout("sample", "rnn", "--published"))
    assert "space rnn has no published sample; accepted: flexibert" in message
    assert "-n is 0" in complaint_of(archscout("sample", "flexibert", "--published", "-n", 0))
    for given in (("--seed", 0), ("--between", "1M,4M")):
        message = complaint_of(archscout("sample", "flexibert", "--published", *given))
        assert f"{given[0]} and --published exclude each other" in message


# score


def test_json_has_every_layer_that_an_encoder_has(score: Program) -> None:
    names = [name for name, found in available("transformer").items() if found.source]
    result = score("--json", "--metrics", ",".join(names))
    assert result.code == 0 and result.err == ""
    documents = [json.loads(line) for line in result.lines]
    assert [found["fingerprint"] for found in documents] == MARKS
    for found, encoder in zip(documents, (SHALLOW, DEEP), strict=True):
        layers = [f"hidden_covariance[{i}]" for i in range(1, 5)]
        assert [n for n in found["scores"] if n in layers] == layers[: encoder.num_layers]
        assert set(names) <= found["scores"].keys()
        assert found["problem"] is None
        assert all(math.isfinite(value) for value in found["scores"].values())


def test_csv_has_one_header_for_encoders_of_different_depth(score: Program) -> None:
    result = score("--csv", "--metrics", "hidden_covariance,softmax_confidence")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    layers = [f"hidden_covariance[{i}]" for i in range(1, 5)]
    assert list(rows[0]) == [
        "fingerprint",
        "hidden_covariance",
        *layers,
        "softmax_confidence",
        "seconds",
        "problem",
    ]
    assert [row["fingerprint"] for row in rows] == MARKS
    assert [bool(rows[0][name]) for name in layers] == [True, True, False, False]
    assert [name for name, cell in rows[1].items() if not cell] == ["problem"]


@pytest.mark.usefixtures("width")
def test_the_table_has_encoders_of_different_depth(score: Program, values: Any) -> None:
    names = ("--metrics", "hidden_covariance,parameters,head_importance")
    result = score(*names)
    assert result.code == 0 and result.err == ""
    assert all(mark in result.out for mark in MARKS)
    for found in values("--metrics", "parameters"):
        assert f"{int(found['parameters']):,}" in result.out
    assert "hidden_covariance[4]" in result.out and "…" not in result.out


def test_the_programs_scores_are_those_of_the_interface(values: Any, words: Path) -> None:
    names = ["synaptic_saliency", "hidden_covariance[2]"]
    scale = SPACE.scales["fast"].resized(**SIZES)
    found = score_directly(
        "flexibert", [SHALLOW, DEEP], text=words, metrics=names, scale=scale, seed=5
    )
    assert isinstance(found, list)
    expected = [one.scores for one in found]
    assert values("--metrics", ",".join(names), "--seed", 5) == expected
    assert [list(one) for one in expected] == [names, names]


def test_every_form_of_every_encoder_metric_can_be_asked_for(values: Any) -> None:
    published = [f"{name}_published" for name in ENCODER_METRICS]
    for encoder, found in zip(
        (SHALLOW, DEEP), values("--metrics", ",".join([*ENCODER_METRICS, *published])), strict=True
    ):
        assert list(found) == [*ENCODER_METRICS, *published]
        assert all(math.isfinite(value) for value in found.values())
        for name in ENCODER_METRICS:
            assert found[name] != found[f"{name}_published"]
            # A normalized metric is the mean of the terms that the metric is the sum of.
            if name.endswith("_normalized") and found[name]:
                terms = found[name.removesuffix("_normalized")] / found[name]
                assert terms == pytest.approx(round(terms)) and terms >= encoder.num_layers


@pytest.mark.parametrize("name", ["head_importance", "hidden_covariance", "parameters"])
def test_each_reading_is_a_network_of_its_own(name: str, values: Any) -> None:
    found = [
        values("--metrics", name, "--size", f"reading={reading}")
        for reading in ("declared", "scored", "trained")
    ]
    assert found[0] == values("--metrics", name)
    for of_one in zip(*found, strict=True):
        assert len({scores[name] for scores in of_one}) == 3


def test_each_objective_has_gradients_of_its_own(values: Any, score: Program) -> None:
    name = "head_importance"
    cotangent, loss = (
        values("--metrics", name, "--scoring", f"objective={o}")[0][name]
        for o in ("cotangent", "loss")
    )
    assert values("--metrics", name)[0][name] == cotangent != loss
    result = score("--json", "--metrics", name, "--scoring", "objective=sum")
    for line in result.lines:
        found = json.loads(line)
        assert found["scores"][name] < 1e-3 * cotangent
        assert "after a layer norm" in found["problem"]
        assert "take objective cotangent" in found["problem"]
    table = score("--metrics", name, "--scoring", "objective=sum")
    assert table.code == 0 and "take objective cotangent" in " ".join(table.err.split())


def test_a_tokenizer_may_be_given(values: Any, place: Path, words: Path, tmp_path: Path) -> None:
    name = "head_importance"
    own, given = (
        values("--metrics", f"parameters,{name}", *more)
        for more in ([], ["--scoring", f"tokenizer={place / 'pieces'}"])
    )
    more = len(WordPiece.load(place / "pieces")) - len(WordPiece.train(load_corpus(words)))
    assert more != 0
    for one, other in zip(own, given, strict=True):
        assert other["parameters"] - one["parameters"] == more * SIZES["embedding_size"]
        assert other[name] != one[name]
    WordPiece.train(load_corpus(words)).save(tmp_path / "same.json")
    assert values("--metrics", name, "--scoring", f"tokenizer={tmp_path / 'same.json'}") == [
        {name: one[name]} for one in own
    ]


def test_published_samples_are_read_from_standard_input(
    archscout: Program, words: Path, type_in: Callable[[str | bytes], None]
) -> None:
    lines = archscout("sample", "flexibert", "--published", "-n", 4).out
    type_in(lines)
    result = archscout("score", "flexibert", "-", "--text", words, *TINY, "--csv", *PARAMETERS)
    found = [row["fingerprint"] for row in csv.DictReader(io.StringIO(result.out))]
    assert found == [SPACE.fingerprint(g) for g in SPACE.published_sample[:4]]


def test_the_list_of_metrics_tells_whose_they_are(archscout: Program) -> None:
    entries = [json.loads(line) for line in archscout("metrics", "--json").lines]
    for name in ENCODER_METRICS:
        found = [entry for entry in entries if entry["name"] == name]
        assert [e["networks"] for e in found].count("transformers") == 1
        own = next(e for e in found if e["networks"] == "transformers")
        assert own["source"] and own["summary"].endswith(".")
    result = archscout("metrics")
    assert result.code == 0 and result.err == ""
    assert all(name in result.out for name in ENCODER_METRICS)


# Mistakes


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        (
            document(layer(num_operation_heads=3), layer()),
            "layer 1: num_operation_heads is 3; accepted: 2 or 4",
        ),
        (
            document(layer(), layer(operation_type="RNN")),
            "layer 2: operation_type is 'RNN'; accepted: 'SA', 'LT' or 'DSC'",
        ),
        (
            document(layer(operation_parameter="DCT"), layer()),
            "layer 1: operation_parameter is 'DCT'; with operation_type 'SA' it is 'SDP' or 'WMA'",
        ),
        (
            document(layer(operation_type="DSC", operation_parameter=7), layer()),
            "layer 1: operation_parameter is 7; with operation_type 'DSC' it is 5 or 9",
        ),
        (document(), "genotype has no layers; 2 or 4 are accepted"),
        (document(layer(), layer(), layer()), "genotype has 3 layers; 2 or 4 are accepted"),
        (document(layer(), layer(), hidden_size=200), "hidden_size is 200; accepted: 128 or 256"),
        ({"hidden_size": 128}, "genotype has no nas_config; it needs hidden_size, nas_config"),
    ],
)
def test_a_mistake_in_an_encoder_is_named_with_its_place(
    architecture: Any, complaint: str, score: Program, place: Path
) -> None:
    good = document(layer(), layer())
    (place / "wrong.json").write_text(json.dumps(architecture))
    (place / "wrong.jsonl").write_text("\n".join(map(json.dumps, (good, architecture))))
    message = complaint_of(score(*PARAMETERS, of="wrong.json"))
    assert f"wrong.json: {complaint}" in message.replace("genotype: ", "")
    assert "wrong.jsonl, line 2: " in complaint_of(score(*PARAMETERS, of="wrong.jsonl"))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            ["--scoring", "tokenizer=EMPTY"],
            "has no tokenizer: neither tokenizer.json nor vocab.txt",
        ),
        (
            ["--size", "sequence_length=600"],
            "size sequence_length (of scored texts) is 600, more than size num_positions, 512",
        ),
        (
            ["--size", "sequence_length=2"],
            "sequence length 2: accepted is a whole number of at least 3",
        ),
        (
            ["--size", "batch_size=5000"],
            "pieces, and minibatch 0 of sequence length 8 and batch size",
        ),
        (
            ["--scoring", "objective=lossy"],
            "unknown objective 'lossy'; accepted: sum, cotangent, loss",
        ),
        (
            ["--size", "reading=declare"],
            "reading is 'declare'; accepted: declared, scored, trained",
        ),
        (
            ["--size", "hidden_size=9"],
            "'hidden_size'; this space has batch_size, sequence_length, ",
        ),
        (["--size", "num_layers=2"], "'num_layers'; this space has batch_size, sequence_length, "),
        (["--size", "initialisation=canonical"], "'initialisation'; this space has batch_size, "),
        (
            ["--scoring", "vocabulary_size=5"],
            "vocabulary limit 5: accepted is a whole number of at least",
        ),
        (["--size", "huge"], "unknown scale 'huge'; space flexibert has paper, fast"),
    ],
)
def test_a_mistake_in_the_settings_is_the_same_for_scores_and_searches(
    more: list[str],
    complaint: str,
    score: Program,
    archscout: Program,
    words: Path,
    place: Path,
    tmp_path: Path,
) -> None:
    more = [word.replace("EMPTY", str(place / "empty")) for word in more]
    message = complaint_of(score(*PARAMETERS, *more))
    assert complaint in message
    out = ("--out", tmp_path / "run")
    usual = ("--text", words, *sizes(*more), "--trials", 1, *out)
    found = archscout("search", "flexibert", *usual, *more)
    assert complaint_of(found) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("metric", "complaint"),
    [
        ("head_importance[1]", "'head_importance[1]': it is not a per-layer metric"),
        ("head_importanc", "unknown metric 'head_importanc'; did you mean head_importance"),
    ],
)
def test_a_mistake_in_a_metric_is_named(metric: str, complaint: str, score: Program) -> None:
    assert complaint in complaint_of(score("--metrics", metric, of="one.json"))


def test_a_layer_that_an_encoder_lacks_has_no_score(score: Program) -> None:
    ran = score("--metrics", "hidden_covariance[3],parameters", "--json", of="one.json")
    found = json.loads(ran.lines[0])
    assert found["scores"]["hidden_covariance[3]"] is None
    assert found["problem"] == "metric hidden_covariance[3]: the network has 2 layer(s)"


def test_a_text_that_is_too_short_is_named(archscout: Program, place: Path) -> None:
    text = ("--text", place / "short.txt")
    message = complaint_of(archscout("score", "flexibert", place / "one.json", *text, *TINY))
    assert "pieces, and minibatch 0 of sequence length 8 and batch size 2 needs 12;" in message
    assert "take a longer text, or a smaller sequence length" in message


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--size", "reading=scored"], "'reading'; this space has batch_size, sequence_length, "),
        (["--scoring", "tokenizer=pieces"], "it is for encoders and decoders"),
        (["--metrics", "synaptic_diversity"], "'synaptic_diversity' is defined for transformers"),
        (["--metrics", "head_importance"], "'head_importance' is defined for transformers only"),
    ],
)
def test_what_only_encoders_have_is_refused_for_recurrent_cells(
    more: list[str], complaint: str, archscout: Program, words: Path
) -> None:
    assert complaint in complaint_of(archscout("score", "rnn", "lstm", "--text", words, *more))


# search, report and export


def search_command(words: Path, out: Path, *more: object) -> list[object]:
    usual = ["-m", "head_confidence", "-m", "parameters", "--trials", 6, "--sampler", "nsga2:3"]
    return ["search", "flexibert", "--text", words, *TINY, *usual, "--out", out, *more]


@pytest.fixture(scope="module")
def finished(
    called: Program, words: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A run that tests only read, and what the program printed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    result = called(*search_command(words, out))
    assert result.code == 0
    return out, result.out


def test_a_search_for_encoders_leaves_a_run_with_report_and_model(
    finished: tuple[Path, str],
) -> None:
    out, printed = finished
    run = Run(out)
    assert printed.startswith("6 proposals in ")
    assert all(mark in printed for mark in run.table["fingerprint"])
    page = (out / "report.html").read_text(encoding="utf-8")
    drawn = [f'data-name="layer {i + 1} ' in page for i in range(4)]
    assert drawn == [i < run.best.architecture.num_layers for i in range(4)]
    assert SPACE.describe(run.best.architecture) in page
    genotype = json.loads((out / "model" / "genotype.json").read_text())
    assert SPACE.parse(genotype) == run.best.architecture


def test_a_search_goes_on_with_more_trials(
    finished: tuple[Path, str], words: Path, archscout: Program, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    command = search_command(words, tmp_path / "run", "--resume")
    summary = json.loads(archscout(*command, "--trials", 8, "--json").out)
    assert (summary["proposals"], summary["new"]) == (8, 2)
    for more, complaint in (
        (["--scoring", f"tokenizer={place / 'pieces'}"], "holds another run: tokenizer is "),
        (["--scoring", "objective=loss"], "objective is 'loss', was 'cotangent'"),
        (["--size", "reading=trained"], "scale.reading is 'trained', was 'declared'"),
    ):
        assert complaint in complaint_of(archscout(*command, *more))


def test_an_encoder_is_exported_by_rank(
    finished: tuple[Path, str], archscout: Program, tmp_path: Path
) -> None:
    run = Run(finished[0])
    result = archscout("export", finished[0], "--out", tmp_path / "2", "--rank", 2)
    assert result.code == 0 and result.out == f"{tmp_path / '2'}\n"
    genotype = SPACE.parse(json.loads((tmp_path / "2" / "genotype.json").read_text()))
    assert SPACE.fingerprint(genotype) == run.candidate(2).fingerprint
    refused = archscout("export", finished[0], "--out", tmp_path / "3", "--size", "reading=scored")
    assert "a run knows its space, text and sizes" in complaint_of(refused)


@pytest.mark.parametrize(("reading", "hidden_size"), [("declared", 128), ("scored", 256)])
def test_an_encoder_is_exported_in_the_reading_asked_for(
    reading: str, hidden_size: int, archscout: Program, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    pieces = (
        "--tokenizer",
        place / "pieces",
        "--size",
        f"reading={reading}",
        "--size",
        "embedding_size=16",
    )
    source = ("export", place / "one.json", "--space", "flexibert")
    result = archscout(*source, *pieces, "--text", place / "short.txt", "--out", out)
    assert result.code == 0 and result.err == ""
    config = json.loads((out / "config.json").read_text())
    assert (config["hidden_size"], config["embedding_size"]) == (hidden_size, 16)
    assert config["vocab_size"] == len(WordPiece.load(place / "pieces"))
    genotype = SPACE.parse(json.loads((out / "genotype.json").read_text()))
    assert isinstance(genotype, EncoderGenotype) and genotype == SHALLOW


@pytest.mark.parametrize(
    ("more", "warned"),
    [((), False), (("--scoring", "objective=sum"), True)],
    ids=["cotangent", "sum"],
)
def test_a_search_warns_of_scores_that_mean_nothing(
    more: tuple[str, ...], warned: bool, archscout: Program, words: Path, tmp_path: Path
) -> None:
    out = ("-m", "synaptic_saliency", "--trials", 2, "--out", tmp_path / "run")
    found = archscout("search", "flexibert", "--text", words, *TINY, *out, *more)
    assert found.code == 0
    assert ("take objective cotangent" in " ".join(found.err.split())) == warned
    assert warned or found.err == ""
