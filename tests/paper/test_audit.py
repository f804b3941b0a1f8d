"""The audit, on made-up data where its claims hold and where they do not, and on the real data."""

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import made_up
from archscout.analysis.document import Table
from archscout.analysis.statistics import Difference
from archscout.benchmarks import DataFolder, nas_bench_bert
from archscout.errors import InputError
from archscout.paper.audit import (
    POINTS,
    audit,
    ceilings,
    corrupt_column,
    equal_sizes,
    gradient,
    malformed_file,
    operations,
    parameter_column,
    readings,
    released_code,
)
from archscout.paper.audit.point import Material, Point
from archscout.paper.audit.regression import joint_test, least_squares
from archscout.spaces.flexibert import FlexibertSpace
from archscout.text import load_corpus

Number = Callable[[Any, np.random.Generator], float]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Less of what takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient, "_ENCODERS", 1)
        patch.setattr(readings, "_BATCH_SIZE", 2)
        patch.setattr(readings, "_LENGTH", 16)
        patch.setattr(readings, "SETTINGS_RECOMPUTED", readings.SETTINGS_RECOMPUTED[-2:])
        patch.setattr(ceilings, "_REPEATS", 2)
        patch.setattr(ceilings, "_TREES", 20)
        yield


def material(folder: Path, out: Path, encoders: int | None = 3) -> Material:
    corpus = load_corpus("python-docs")
    return Material(DataFolder(folder), out, corpus, encoders, 0, lambda *_: None)


def encoders(
    folder: Path, count: int, glue: Number, seconds: Number, parameters: Number
) -> Material:
    """Encoders whose results and published parameters are what these functions say."""
    drawn = list(islice(FlexibertSpace().samples(2), count))
    return benchmark_of(folder, drawn, glue, seconds, parameters)


def benchmark_of(
    folder: Path, genotypes: Sequence[Any], glue: Number, seconds: Number, parameters: Number
) -> Material:
    space = FlexibertSpace()
    rng = np.random.default_rng(1)
    entries, rows = [], []
    for i, genotype in enumerate(genotypes):
        score = glue(genotype, rng)
        entry: dict[str, Any] = {"id": i, "time_to_train": seconds(genotype, rng)}
        entry["hparams"] = {"model_hparam_overrides": space.to_dict(genotype)}
        entry["scores"] = dict.fromkeys((*made_up.TASKS, "glue"), score)
        entries.append(entry)
        values = dict.fromkeys(made_up.ENCODER_TITLES, 1.0)
        values["Number of Parameters"] = parameters(genotype, rng)
        rows.append([i, score, *values.values()])
    made_up.write(folder, f"{made_up.SCORES}/BERT_benchmark.json", json.dumps(entries).encode())
    content = made_up.table(["ID", "GLUE Score", *made_up.ENCODER_TITLES], rows)
    made_up.write(folder, f"{made_up.SCORES}/BERT_results_activation.csv", content)
    return material(folder, folder / "out")


def counted(reading: str) -> Number:
    space = FlexibertSpace()

    def count(genotype: Any, _: np.random.Generator) -> float:
        scale = space.scales["paper"].resized(reading=reading)
        network = space.skeleton(genotype, 30_522, scale)
        return float(sum(parameter.numel() for parameter in network.parameters()))

    return count


def noise(_: Any, rng: np.random.Generator) -> float:
    return 70 + float(rng.normal())


def size(genotype: Any, rng: np.random.Generator) -> float:
    return genotype.hidden_size * genotype.num_layers / 100 + float(rng.normal())


def fourier(genotype: Any, rng: np.random.Generator) -> float:
    names = [layer.operation for layer in genotype.layers]
    return size(genotype, rng) + 8 * names.count("LT-DFT") / len(names)


# Regression


def test_one_predictor_is_simple_regression() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=40)
    fit = least_squares(pd.DataFrame({"x": x}), pd.Series(y))
    simple = stats.linregress(x, y)
    row = fit.table.loc["x"]
    assert row["coefficient"] == pytest.approx(simple.slope)
    assert row["error"] == pytest.approx(simple.stderr)
    assert row["p"] == pytest.approx(simple.pvalue)
    assert fit.table.loc["constant", "error"] == pytest.approx(simple.intercept_stderr)
    assert fit.r_squared == pytest.approx(simple.rvalue**2)


def test_many_predictors_solve_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.normal(size=(50, 4)) * [1, 1e6, 1e-3, 1], columns=list("abcd"))
    y = pd.Series(x["a"] * 2 + x["b"] * 1e-6 + rng.normal(size=50))
    design = np.column_stack([np.ones(50), x])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y.to_numpy()
    variance = ((y - design @ coefficients) ** 2).sum() / 45
    errors = np.sqrt(variance * np.diag(inverse))
    fit = least_squares(x, y)
    np.testing.assert_allclose(fit.table["coefficient"], coefficients, rtol=1e-6)
    np.testing.assert_allclose(fit.table["error"], errors, rtol=1e-6)
    p = 2 * (1 - stats.t(45).cdf(np.abs(coefficients / errors)))
    np.testing.assert_allclose(fit.table["p"], p, atol=1e-9)
    low, high = stats.t.interval(0.95, 45, coefficients, errors)
    np.testing.assert_allclose(fit.table[["low", "high"]].T, [low, high])


def test_a_joint_test_of_groups_is_analysis_of_variance() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(["a", "b", "c"], 12)
    y = pd.Series(rng.normal(size=36) + (groups == "b"))
    shares = pd.DataFrame({"b": groups == "b", "c": groups == "c"}, dtype=float)
    test = joint_test(shares, y, ["b", "c"])
    expected = stats.f_oneway(*(y[groups == g] for g in "abc"))
    assert (test.f, test.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert test.degrees == (2, 33)


def test_predictors_that_depend_on_each_other_are_refused() -> None:
    x = pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "b": [2.0, 4, 6, 8, 10]})
    with pytest.raises(InputError, match="a, b depend on each other"):
        least_squares(x, pd.Series([1.0, 2, 4, 3, 5]))
    with pytest.raises(InputError, match="2 observations for 2 terms"):
        least_squares(x[["a"]].head(2), pd.Series([1.0, 2]))


# Points


def test_parameters_of_the_scored_networks_confirm_it(tmp_path: Path) -> None:
    found = parameter_column.check(encoders(tmp_path, 12, noise, noise, counted("scored")))
    assert found.standing == "confirmed"
    assert "scored for 12 of 12" in found.verdict


@pytest.mark.parametrize("reading", ["declared", "trained"])
def test_parameters_of_other_networks_do_not(reading: str, tmp_path: Path) -> None:
    found = parameter_column.check(encoders(tmp_path, 12, noise, noise, counted(reading)))
    assert found.standing == "not confirmed"
    assert f"{reading} for 12" in found.verdict


def test_sizes_alone_leave_operations_no_effect(tmp_path: Path) -> None:
    found = operations.check(encoders(tmp_path, 150, size, size, counted("scored")))
    assert found.standing == "confirmed"


@pytest.mark.parametrize(
    ("glue", "seconds", "standing"),
    [(fourier, fourier, "not confirmed"), (size, fourier, "partly confirmed")],
)
def test_an_effect_of_operations_is_found(
    glue: Number, seconds: Number, standing: str, tmp_path: Path
) -> None:
    found = operations.check(encoders(tmp_path, 150, glue, seconds, noise))
    assert found.standing == standing
    assert "Operation types show" in found.verdict


def test_a_control_that_shows_nothing_confirms_nothing(tmp_path: Path) -> None:
    found = operations.check(encoders(tmp_path, 150, size, size, size))
    assert found.standing == "partly confirmed"
    assert found.verdict.startswith("Too few encoders")


def twins() -> list[Any]:
    """Twenty encoders, each of them twice, and each with Fourier transforms throughout."""
    space = FlexibertSpace()
    found = []
    others = (g for g in space.samples(5) if any(x.operation_type != "LT" for x in g.layers))
    for genotype in islice(others, 20):
        document = space.to_dict(genotype)
        for layer in document["nas_config"]["encoder_layers"]:
            layer |= {"operation_type": "LT", "operation_parameter": "DFT"}
        found += [genotype, genotype, space.parse(document)]
    return found


def test_types_that_change_nothing_leave_pairs_at_the_noise_floor(tmp_path: Path) -> None:
    found = equal_sizes.check(benchmark_of(tmp_path, twins(), size, size, noise))
    assert found.standing == "confirmed"
    assert "60 of 60 encoders share every size" in found.verdict
    table = items(found)["equal_sizes"]
    assert table.loc["exact repeats", "pairs"] == 20
    assert table.loc["other types", "pairs"] == 40
    assert table.loc["other sizes", "median"] > 2 * table.loc["exact repeats", "median"]


def test_types_that_count_drive_pairs_apart(tmp_path: Path) -> None:
    found = equal_sizes.check(benchmark_of(tmp_path, twins(), fourier, size, noise))
    assert found.standing == "not confirmed"


def test_without_a_repeat_there_is_no_noise_floor(tmp_path: Path) -> None:
    apart = [genotype for i, genotype in enumerate(twins()) if i % 3 != 1]
    with pytest.raises(InputError, match="no two encoders at hand were trained twice"):
        equal_sizes.check(benchmark_of(tmp_path, apart, size, size, noise))


def test_pairs_are_told_apart_by_what_differs() -> None:
    base = FlexibertSpace().to_dict(FlexibertSpace().sample(0))
    first, *others = base["nas_config"]["encoder_layers"]
    changes = [
        {"operation_type": "SA", "operation_parameter": "SDP"},
        {"operation_type": "SA", "operation_parameter": "WMA"},
        {"operation_type": "DSC", "operation_parameter": 5},
        {"operation_type": "SA", "operation_parameter": "SDP"},
        {"operation_type": "SA", "operation_parameter": "SDP"},
    ]
    changes[-1]["num_feed_forward"] = 4 - first["num_feed_forward"]
    layers = [[first | change, *others] for change in changes]
    architectures = {
        str(i): FlexibertSpace().parse({**base, "nas_config": {"encoder_layers": each}})
        for i, each in enumerate(layers)
    }
    found = equal_sizes.pairs(architectures, pd.Series(range(5), index=list(architectures)))
    assert found.set_index(["first", "second"])["pair"].to_dict() == {
        ("0", "1"): "same types, other parameters",
        ("0", "2"): "other types",
        ("0", "3"): "exact repeats",
        ("1", "2"): "other types",
        ("1", "3"): "same types, other parameters",
        ("2", "3"): "other types",
        **{(name, "4"): "other sizes" for name in "0123"},
    }


def norms(change: Callable[[Any], None]) -> pd.DataFrame:
    network = gradient.as_trained(FlexibertSpace().published_sample[3], seed=0)
    change(network)
    return gradient.measure(network, seed=0).assign(id="3")


def test_the_gradient_of_a_sum_behind_a_layer_norm_is_rounding() -> None:
    measured = norms(lambda network: None)
    assert gradient.judge(measured)[0] == "confirmed"
    by = measured.set_index(["objective", "precision"])["norm"]
    assert by["sum", "float64"] < 1e-6 * by["sum", "float32"] < 1e-10
    assert by["random cotangent", "float32"] == pytest.approx(by["random cotangent", "float64"])


def test_with_other_layer_norm_weights_it_is_none() -> None:
    def change(network: Any) -> None:
        with torch.no_grad():
            network.encoder.layer[-1].output.LayerNorm.weight.uniform_(0.5, 1.5)

    assert gradient.judge(norms(change))[0] == "not confirmed"


def differences(published: float, trained: float, low: float) -> pd.DataFrame:
    names = [*readings._FORWARD, *readings._GRADIENT]
    row = {"n": 9, "published": published, "as trained": trained, "low": low}
    table = pd.DataFrame([row] * len(names), index=names)
    return table.assign(difference=table["as trained"] - table["published"])


@pytest.mark.parametrize(
    ("published", "trained", "low", "standing"),
    [
        (0.1, 0.6, 0.3, "confirmed"),
        (0.1, 0.2, -0.3, "partly confirmed"),
        (0.6, 0.1, -0.9, "not confirmed"),
    ],
)
def test_readings_are_judged_by_differences(
    published: float, trained: float, low: float, standing: str
) -> None:
    table = pd.DataFrame({"metric": [], "kendall": []})
    found = readings.judge(differences(published, trained, low), table)
    assert found[0] == standing


def test_stopped_scores_are_kept(tmp_path: Path) -> None:
    made = made_up.encoder_data(tmp_path / "data", 3)
    benchmark = nas_bench_bert.load(DataFolder(made))
    whole, _ = readings.recompute(material(made, tmp_path / "whole"), benchmark, readings.TRAINED)

    def stop(_: str, done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    corpus = load_corpus("python-docs")
    stopping = Material(DataFolder(made), tmp_path / "stopped", corpus, 3, 0, stop)
    with pytest.raises(KeyboardInterrupt):
        readings.recompute(stopping, benchmark, readings.TRAINED)
    (stored,) = (tmp_path / "stopped").rglob("scores.jsonl")
    assert len(stored.read_text().splitlines()) == 2
    first = stored.read_text()
    again, _ = readings.recompute(material(made, tmp_path / "stopped"), benchmark, readings.TRAINED)
    assert stored.read_text().startswith(first)
    pd.testing.assert_frame_equal(whole, again)


def recurrent(folder: Path, column: Callable[[int], float], shift: float) -> Material:
    """Ten networks, of which the ablations say what `column` says or does not."""
    head = ["log name", "loss", "perplexity", "bits per word"]
    rng = np.random.default_rng(0)
    results, ablation = [], []
    for i in range(10):
        score = -(10.0 ** (2 + i / 3))
        values = dict.fromkeys(made_up.RECURRENT_TITLES, 2.0 + i)
        values |= {"Jacobian Covariance": score, "More Noised Jacobian": score**4}
        measured = dict(values)
        values["Jacobian Covariance"] = column(i) if column(i) else score
        if shift:
            measured["Activation Distance"] += shift
            measured["Synaptic Saliency"] *= 0.1
            measured["Hidden Synaptic Saliency"] *= 3
        name = [made_up.log_name(i), 4 + float(rng.random()), 90.0, 6.0]
        results.append([*name, *values.values()])
        ablation += [[*name, *measured.values()]] * 10
    for file, rows in (("results", results), ("batch_ablation", ablation)):
        content = made_up.table([*head, *made_up.RECURRENT_TITLES], rows)
        made_up.write(folder, f"{made_up.SCORES}/RNN_{file}.csv", content)
    return material(folder, folder / "out")


def test_a_column_that_hardly_varies_is_corrupt(tmp_path: Path) -> None:
    found = corrupt_column.check(recurrent(tmp_path, lambda i: -71 - i / 100, 0))
    assert found.standing == "confirmed"
    assert any("initialization" in remark for remark in found.section.remarks)


def test_a_column_that_agrees_is_not(tmp_path: Path) -> None:
    found = corrupt_column.check(recurrent(tmp_path, lambda i: 0, 0))
    assert found.standing == "not confirmed"


def test_a_column_without_a_network_to_compare_is_doubtful_only(tmp_path: Path) -> None:
    corrupt = recurrent(tmp_path, lambda i: -71 - i / 100, 0)
    place = tmp_path / made_up.SCORES / "RNN_results.csv"
    for i in range(10):
        place.write_text(place.read_text().replace(made_up.log_name(i), made_up.log_name(i + 50)))
    found = corrupt_column.check(corrupt)
    assert found.standing == "partly confirmed"
    assert "doubtful" in found.verdict


def test_three_metrics_differ_as_released(tmp_path: Path) -> None:
    found = released_code.check(recurrent(tmp_path, lambda i: 0, 50 * math.log(2)))
    assert found.standing == "confirmed"
    assert any("Penn Treebank" in remark for remark in found.section.remarks)


@pytest.mark.parametrize(("shift", "standing"), [(0, "not confirmed"), (3, "partly confirmed")])
def test_other_differences_are_not_as_released(shift: float, standing: str, tmp_path: Path) -> None:
    assert released_code.check(recurrent(tmp_path, lambda i: 0, shift)).standing == standing


LINE = "log_stats_model_1_2020-04-11_10-00-00_99991.json,1,2,3,4,4"
HEADER = "log name,loss,perplexity,bits per word,trainable paramters,total paramters"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("logs.zip,nan,nan,nan,nan,nan", "no training log's name"),
        ("log name,loss,perplexity,trainable paramters", "another header"),
        (f"{LINE},9", "another number of columns"),
        (f"{LINE}{HEADER}", "data and a header run together"),
        (LINE.replace(",4,4", ",nan,nan"), "no number of parameters"),
        (LINE.replace(",4,4", ",four,4"), "no number where one belongs"),
    ],
)
def test_lines_that_are_no_data_are_sorted(line: str, kind: str, tmp_path: Path) -> None:
    content = f"{HEADER}\n{LINE}\n{line}\n".encode()
    made_up.write(tmp_path, f"{made_up.SCORES}/RNN_parameters.csv", content)
    found = malformed_file.check(material(tmp_path, tmp_path))
    assert found.standing == "confirmed"
    assert f"1 of 2 lines are not data: 1 {kind}" in found.verdict


def test_a_whole_file_is_not_malformed(tmp_path: Path) -> None:
    content = f"{HEADER}\n{LINE}\n".encode()
    made_up.write(tmp_path, f"{made_up.SCORES}/RNN_parameters.csv", content)
    assert malformed_file.check(material(tmp_path, tmp_path)).standing == "not confirmed"


def test_a_forest_finds_signal_and_learns_no_copy_by_heart() -> None:
    rng = np.random.default_rng(0)
    names = [str(i) for i in range(120)]
    x = pd.DataFrame(rng.normal(size=(120, 3)), index=names)
    signal = pd.Series(np.exp(x[0]) + 0.1 * rng.normal(size=120), index=names)
    predicted = ceilings.out_of_fold(x, signal, names, 0).mean(axis=1)
    assert stats.kendalltau(predicted, signal).statistic > 0.7
    # Copies of 40 architectures with losses that nothing predicts.
    copies = x.iloc[np.arange(120) % 40].set_axis(names)
    chance = pd.Series(rng.normal(size=40)[np.arange(120) % 40], index=names)
    groups = [str(i % 40) for i in range(120)]
    together, apart = (
        stats.kendalltau(ceilings.out_of_fold(copies, chance, g, 0).mean(axis=1), chance).statistic
        for g in (groups, names)
    )
    assert together < 0.3 < 0.6 < apart


@pytest.mark.parametrize(
    ("kendall", "low", "standing"),
    [
        ([0.3, 0.5, 0.8], 0.1, "confirmed"),
        ([0.3, 0.5, 0.8], -0.1, "partly confirmed"),
        ([0.3, 0.2, 0.8], -0.3, "not confirmed"),
        ([0.3, 0.9, 0.8], 0.1, "not confirmed"),
        ([0.3, 0.5], 0.1, "partly confirmed"),
    ],
)
def test_ceilings_are_judged_by_a_paired_difference(
    kendall: list[float], low: float, standing: str
) -> None:
    titles = [ceilings._RECOMPUTED, ceilings._FOREST, "loss on x, for y"]
    table = pd.DataFrame({"n": 9, "kendall": kendall}, index=titles[: len(kendall)])
    difference = Difference(kendall[1] - kendall[0], low, 1.0, 0.5, 9)
    assert ceilings.judge(table, difference)[0] == standing


# The page


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Point], Path]:
    folder = tmp_path_factory.mktemp("audit")
    made_up.recurrent_data(made_up.encoder_data(folder / "data", 14), 14)
    points: list[Point] = []
    page = audit(
        DataFolder(folder / "data"), folder / "out", encoders=3, seed=0, on_point=points.append
    )
    return points, page


def test_numbers_made_up_at_random_confirm_nothing_about_them(
    audited: tuple[list[Point], Path],
) -> None:
    points, _ = audited
    standing = {point.title: point.standing for point in points}
    assert [point.title for point in points] == [title for title, _ in POINTS]
    assert standing[parameter_column.TITLE] == "not confirmed"
    assert standing[corrupt_column.TITLE] != "confirmed"
    assert standing[released_code.TITLE] != "confirmed"
    assert standing[readings.TITLE] != "confirmed"
    assert standing[ceilings.TITLE] != "confirmed"
    assert standing[gradient.TITLE] == "confirmed"  # it is measured, not read


def test_the_page_has_every_point_and_its_evidence(audited: tuple[list[Point], Path]) -> None:
    points, page = audited
    html, text = page.read_text(), (page.parent / "report.md").read_text()
    assert "Modified data" in html
    for i, point in enumerate(points, start=1):
        assert f"## {i}. {point.title}" in text
        assert point.verdict in text
        for item in point.section.content:
            suffix = "csv" if isinstance(item, Table) else "png"
            assert (page.parent / f"{item.name}.{suffix}").exists()
        if point.standing != "not checked":
            for part in ("The claim.", "How it was checked.", "Files.", "What follows."):
                assert text.count(f"**{part}**") >= 1
    assert text.count("**What follows.**") == sum(p.standing != "not checked" for p in points)


def test_a_point_without_data_says_how_to_get_it(tmp_path: Path) -> None:
    content = f"{HEADER}\n{LINE}\n".encode()
    made_up.write(tmp_path, f"{made_up.SCORES}/RNN_parameters.csv", content)
    points: list[Point] = []
    page = audit(DataFolder(tmp_path), tmp_path / "out", on_point=points.append)
    by = {point.title: point for point in points}
    assert by[malformed_file.TITLE].standing == "not confirmed"
    assert by[corrupt_column.TITLE].standing == "not checked"
    assert "archscout data download RNN_results.csv" in by[corrupt_column.TITLE].verdict
    assert "archscout data download" in page.read_text()


def test_no_data_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="archscout data download"):
        audit(DataFolder(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_few_encoders_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoders is 0"):
        audit(DataFolder(tmp_path), tmp_path / "out", encoders=0)


# The data at hand


@pytest.fixture(scope="module")
def upstream(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return material(shared / "upstream", tmp_path_factory.mktemp("upstream"))


def rows(shared: Path, name: str) -> list[dict[str, str]]:
    path = shared / "upstream" / made_up.SCORES / name
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def items(point: Point) -> dict[str, pd.DataFrame]:
    found = {}
    for item in point.section.content:
        frame = getattr(item, "frame", None)
        found[item.name] = item.numbers if frame is None else frame  # type: ignore[union-attr]
    return found


@pytest.mark.slow
def test_the_published_parameters_are_those_of_scored_networks(
    upstream: Material, shared: Path
) -> None:
    """By adding up an attention layer's matrices, independently of the network's code."""
    entries = json.loads((shared / "upstream" / made_up.SCORES / "BERT_benchmark.json").read_text())
    published = {
        r["ID"]: int(r["Number of Parameters"]) for r in rows(shared, "BERT_results_activation.csv")
    }
    counts = items(parameter_column.check(upstream))["parameter_column"]
    assert (counts["scored"] == counts["published"]).all()
    h, f = 256, 1024
    checked = 0
    for entry in entries:
        layers = entry["hparams"]["model_hparam_overrides"]["nas_config"]["encoder_layers"]
        if any(layer["operation_parameter"] != "SDP" for layer in layers):
            continue
        total = (30_522 + 512 + 2) * 128 + 2 * 128 + 128 * h + h
        for layer in layers:
            more = layer["num_feed_forward"] - 1
            total += (
                4 * (h * h + h) + 2 * h + (h * f + f) + more * (f * f + f) + (f * h + h) + 2 * h
            )
        assert total == published[str(entry["id"])] == counts.loc[str(entry["id"]), "scored"]
        checked += 1
    assert checked >= 3


def test_the_regression_agrees_with_the_normal_equations(upstream: Material, shared: Path) -> None:
    entries = json.loads((shared / "upstream" / made_up.SCORES / "BERT_benchmark.json").read_text())
    design, y = [], []
    names = [("SA", "WMA"), ("LT", "DFT"), ("LT", "DCT"), ("DSC", 5), ("DSC", 9)]
    for entry in entries:
        genotype = entry["hparams"]["model_hparam_overrides"]
        layers = genotype["nas_config"]["encoder_layers"]
        kinds = [(x["operation_type"], x["operation_parameter"]) for x in layers]
        n = len(layers)
        design.append(
            [
                1,
                genotype["hidden_size"] * n,
                n,
                sum(x["feed_forward_dimension"] * x["num_feed_forward"] for x in layers),
                sum(x["num_feed_forward"] for x in layers),
                sum(x["num_operation_heads"] for x in layers) / n,
                *(kinds.count(name) / n for name in names),
            ]
        )
        y.append(entry["scores"]["glue"])
    x, glue = np.array(design, dtype=float), np.array(y)
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ x.T @ glue
    degrees = len(glue) - x.shape[1]
    errors = np.sqrt(((glue - x @ coefficients) ** 2).sum() / degrees * np.diag(inverse))
    table = items(operations.check(upstream))["regression_glue_score"]
    np.testing.assert_allclose(table["coefficient"], coefficients, rtol=1e-4)
    np.testing.assert_allclose(
        table["p"], 2 * stats.t.sf(np.abs(coefficients / errors), degrees), rtol=1e-3, atol=1e-12
    )


def test_pairs_of_equal_sizes_are_those_that_a_dictionary_finds(
    upstream: Material, shared: Path
) -> None:
    entries = json.loads((shared / "upstream" / made_up.SCORES / "BERT_benchmark.json").read_text())
    by_sizes: dict[str, list[Any]] = {}
    for entry in entries:
        genotype = entry["hparams"]["model_hparam_overrides"]
        layers = genotype["nas_config"]["encoder_layers"]
        names = ("num_operation_heads", "feed_forward_dimension", "num_feed_forward")
        sizes = [genotype["hidden_size"], *([x[name] for name in names] for x in layers)]
        glue = (8 * entry["scores"]["glue"] - entry["scores"]["cola"]) / 7
        by_sizes.setdefault(str(sizes), []).append(([x["operation_type"] for x in layers], glue))
    distances = [
        abs(first[1] - second[1])
        for group in by_sizes.values()
        for first, second in itertools.combinations(group, 2)
        if first[0] != second[0]
    ]
    found = equal_sizes.check(upstream)
    shared_by = sum(len(group) for group in by_sizes.values() if len(group) > 1)
    assert found.standing == "confirmed"
    assert f"{shared_by} of {len(entries)} encoders share every size" in found.verdict
    row = items(found)["equal_sizes"].loc["other types"]
    assert (row["pairs"], row["median"]) == (len(distances), pytest.approx(np.median(distances)))


def test_the_recurrent_columns_are_as_found(upstream: Material, shared: Path) -> None:
    results = {r["log name"]: r for r in rows(shared, "RNN_results.csv")}
    ablation: dict[str, dict[str, str]] = {}
    for row in rows(shared, "RNN_batch_ablation.csv"):
        ablation.setdefault(row["log name"], row)
    both = [name for name in ablation if name in results]
    shifts = [
        float(ablation[n]["Activation Distance"]) - float(results[n]["Activation Distance"])
        for n in both
    ]
    np.testing.assert_allclose(shifts, 50 * math.log(2), atol=2e-3)
    released = released_code.check(upstream)
    assert f"of {len(both)} networks in both files" in released.verdict
    assert released.standing == "confirmed"
    corrupt = corrupt_column.check(upstream)
    assert corrupt.standing == "confirmed"
    values = [float(r["Jacobian Covariance"]) for r in results.values()]
    assert f"between {min(values):.2f} and {max(values):.2f}" in corrupt.verdict


def test_the_malformed_lines_are_those_without_parameters(upstream: Material, shared: Path) -> None:
    path = shared / "upstream" / made_up.SCORES / "RNN_parameters.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()[1:]
    data = 0
    for line in lines:
        cells = line.split(",")
        data += len(cells) == 6 and cells[0].endswith(".json") and cells[4].isdigit()
    verdict = malformed_file.check(upstream).verdict
    assert verdict.startswith(f"{len(lines) - data} of {len(lines):,} lines are not data")


def test_the_published_metric_ranks_as_said(upstream: Material, shared: Path) -> None:
    table = rows(shared, "RNN_results.csv")
    scores = [float(r["Layer 1 Hidden Covariance"]) for r in table]
    losses = [-float(r["loss"]) for r in table]
    pairs = [pair for pair in zip(scores, losses, strict=True) if not math.isnan(pair[1])]
    expected = stats.kendalltau(*zip(*pairs, strict=True)).statistic
    row = ceilings._published_metric(upstream).row
    assert row["n"] == len(pairs)
    assert row["kendall"] == pytest.approx(expected)
