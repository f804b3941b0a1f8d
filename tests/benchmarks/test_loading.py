"""Benchmarks as they are read from published files."""

import csv
import io
import json
import math
import re
import shutil
import zipfile

import pytest
from scipy import stats

import made_up
from archscout import benchmarks
from archscout.benchmarks import DataFolder
from archscout.benchmarks import published_tables as tables
from archscout.errors import InputError
from archscout.spaces import RecurrentSpace


@pytest.fixture
def data(tmp_path):
    made_up.recurrent_data(tmp_path)
    return made_up.encoder_data(tmp_path)


def test_networks_are_judged_at_the_epoch_of_lowest_validation_loss(data):
    found = benchmarks.load("nas-bench-nlp", DataFolder(data), "wikitext-2")
    first = found.curves[found.curves["architecture"] == "100"]
    row = found.results.loc["100"]
    assert row["test_loss"] == first["test_loss"].iloc[1]
    assert row["val_loss"] == first["val_loss"].min()
    assert row["final_test_loss"] == first["test_loss"].iloc[2]
    assert row["parameters"] == 1100
    assert row["seconds"] == 6


def test_a_failed_network_is_kept_as_failed(data):
    found = benchmarks.load("nas-bench-nlp", DataFolder(data))
    assert len(found) == 8
    failed = found.results.loc["107"]
    assert math.isnan(failed["test_loss"])
    assert failed["status"] == "loss is nan!"
    assert failed["failed_runs"] == 1


def test_several_runs_of_a_recipe_are_averaged_and_failed_ones_left_out(data):
    recipe = RecurrentSpace().to_dict(RecurrentSpace().sample(5))
    members = {
        made_up.log_name(1, 0): made_up.training_log(1, recipe, [5.0, 4.0]),
        made_up.log_name(1, 1): made_up.training_log(1, recipe, [5.0, 4.5]),
        made_up.log_name(1, 2): made_up.training_log(1, recipe, [5.0, 1.0], "loss is nan!"),
        "__MACOSX/._" + made_up.log_name(1, 0): "resource fork",
    }
    made_up.write(data, made_up.WIKITEXT, made_up.archive(members))
    found = benchmarks.load("nas-bench-nlp", DataFolder(data))
    row = found.results.loc["1"]
    assert row["test_loss"] == pytest.approx(4.5)
    assert (row["runs"], row["failed_runs"]) == (3, 1)
    assert len(found.curves) == 6


def test_lookup_finds_a_recipe_however_it_is_written(data):
    found = benchmarks.load("nas-bench-nlp", DataFolder(data))
    recipe = found.space.to_dict(found.architectures["103"])
    rename = {name: f"n{i}" for i, name in enumerate(recipe) if not name.startswith("h_")}
    renamed = {
        rename.get(name, name): {
            **node,
            "input": [rename.get(source, source) for source in node["input"]],
        }
        for name, node in reversed(recipe.items())
    }
    assert [entry.name for entry in found.lookup(renamed)] == ["103"]
    assert found.lookup(found.space.sample(77)) == ()


def test_entries_come_in_order_with_their_results(data):
    found = benchmarks.load("nas-bench-bert", DataFolder(data))
    entries = list(found)
    assert [entry.name for entry in entries] == list(found.results.index)
    assert entries[2].results["glue"] == found.results["glue"].iloc[2]
    with pytest.raises(InputError, match="no architecture 'x'; it has 6, such as '0'"):
        found.entry("x")


def test_published_scores_are_joined_by_canonical_names(data):
    found = benchmarks.load("nas-bench-nlp", DataFolder(data), "ptb")
    assert list(found.metrics) == list(tables.RECURRENT_METRICS)
    assert len(found) == 7  # the failed one has no published loss
    scores = tables.recurrent_scores(DataFolder(data)).frame
    assert found.results["loss"].tolist() == scores["loss"].tolist()
    assert any("no archive of Penn Treebank" in remark for remark in found.remarks)
    encoders = benchmarks.load("nas-bench-bert", DataFolder(data))
    assert list(encoders.metrics.columns.difference(tables.ENCODER_METRICS)) == ["parameters"]
    assert "glue" in encoders.table


def test_penn_treebank_with_its_own_archive(data):
    content = (data / made_up.WIKITEXT).read_bytes()
    place = "nas-bench-nlp-release/train_logs_single_run/logs.zip"
    made_up.write(data, place, content)
    found = benchmarks.load("nas-bench-nlp", DataFolder(data), "ptb")
    assert len(found) == 8
    assert found.target == "loss"
    assert math.isnan(found.results.loc["107", "loss"])
    assert not found.remarks


def test_the_ablation_over_pretraining_steps(data):
    found = benchmarks.load("nas-bench-bert", DataFolder(data))
    assert set(found.curves["steps"]) == {0, 50000, 100000}
    genotype = json.loads(found.curves["architecture"].iloc[0])
    assert [entry.name for entry in found.lookup(genotype)] == ["0"]
    frame = tables.pretraining_ablation(DataFolder(data)).frame
    assert frame.loc[("0", 50000), "glue"] == found.results.loc["0", "glue"]


def test_lines_that_are_no_data_are_left_out_and_counted(data):
    table = tables.recurrent_parameters(DataFolder(data))
    assert table.left_out == (10, 11)
    assert table.remark == "RNN_parameters.csv: 2 lines between 10 and 11 left out, not data"
    assert len(table.frame) == 8


def test_a_step_of_pretraining_stands_once(data, tmp_path):
    path = DataFolder(data).find("BERT_train_ablation.csv").path
    copy = shutil.copytree(data, tmp_path / "copy") / path.relative_to(data)
    lines = copy.read_text().splitlines()
    bare = lines[1].split(",")
    bare[1] = "nan"
    copy.write_text("\n".join([*lines, lines[1], ",".join(bare)]))  # a repeat, and no steps
    table = tables.pretraining_ablation(DataFolder(tmp_path / "copy"))
    assert len(table.frame) == len(lines) - 1 and table.left_out == (len(lines) + 2,)
    bare[1:3] = lines[1].split(",")[1], "7"
    copy.write_text("\n".join([*lines, ",".join(bare)]))
    with pytest.raises(InputError, match=r"stands there 2 times with different values"):
        tables.pretraining_ablation(DataFolder(tmp_path / "copy"))


def test_draws_of_an_ablation_are_numbered(data):
    frame = tables.recurrent_ablation(DataFolder(data), "minibatch").frame
    assert frame.index.names == ["log name", "draw"]
    assert frame.index.get_level_values("draw").tolist() == list(range(10)) * 3


def test_everything_modified_is_said(data):
    found = benchmarks.load("nas-bench-bert", DataFolder(data))
    assert found.modified == ("BERT_benchmark.json", "BERT_results_activation.csv")


def _replace(data, name, old, new):
    path = data / made_up.SCORES / name
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def test_missing_and_unknown_columns(data):
    _replace(data, "RNN_results.csv", b"Jacobian Cosine", b"Jacobi")
    with pytest.raises(
        InputError, match=r"RNN_results.csv lacks the column\(s\) 'Jacobian Cosine'"
    ):
        tables.recurrent_scores(DataFolder(data))
    _replace(data, "BERT_results_activation.csv", b"ID,", b"Colour,ID,")
    with pytest.raises(InputError, match=r"unknown column\(s\) 'Colour'; accepted are ID"):
        tables.encoder_scores(DataFolder(data))


def test_two_rows_that_claim_one_network(data):
    path = data / made_up.SCORES / "BERT_results_activation.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    assert len(tables.encoder_scores(DataFolder(data)).frame) == 6
    path.write_bytes(b"".join([*lines, lines[1].replace(b"0,", b"0,1", 1)]))
    with pytest.raises(InputError, match="'0' stands there 2 times with different values"):
        tables.encoder_scores(DataFolder(data))


def test_two_logs_that_claim_one_recipe(data):
    space = RecurrentSpace()
    members = {
        made_up.log_name(1, run): made_up.training_log(1, space.to_dict(space.sample(run)), [4.0])
        for run in (0, 1)
    }
    made_up.write(data, made_up.WIKITEXT, made_up.archive(members))
    with pytest.raises(InputError, match="claim recipe 1 and hold different recipes"):
        benchmarks.load("nas-bench-nlp", DataFolder(data))


def test_two_entries_that_claim_one_encoder(data):
    path = data / made_up.SCORES / "BERT_benchmark.json"
    entries = json.loads(path.read_text())
    entries[3]["id"] = 1
    path.write_text(json.dumps(entries))
    with pytest.raises(InputError, match="entries 1 and 3 both claim id 1"):
        benchmarks.load("nas-bench-bert", DataFolder(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, "has null as scores; an object of numbers is accepted"),
        ({"scores": [80.5]}, "has [80.5] as scores; an object of numbers is accepted"),
        ({"scores": {"glue": "good"}}, 'has "good" as glue; a number is accepted'),
        ({"time_to_train": "long"}, 'has "long" as time_to_train; a number is accepted'),
    ],
)
def test_an_entry_without_numbers_is_named(data, changes, message):
    path = data / made_up.SCORES / "BERT_benchmark.json"
    entries = json.loads(path.read_text())
    entries[3] |= changes
    path.write_text(json.dumps(entries))
    place = f"BERT_benchmark.json: entry 3 (id 3) {message}"
    with pytest.raises(InputError, match=re.escape(place)):
        benchmarks.load("nas-bench-bert", DataFolder(data))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"late": {"glue": 80.5}}, "has scores of step 'late'; a whole number is accepted"),
        ({"50000": None}, "has null as scores of step 50000; an object of numbers is accepted"),
        ({"50000": {"glue": "good"}}, 'has "good" as glue; a number is accepted'),
    ],
)
def test_an_entry_of_curves_without_numbers_is_named(data, scores, message):
    path = data / made_up.SCORES / "BERT_benchmark_train_ablation.json"
    entries = json.loads(path.read_text())
    entries[2]["scores"] = scores
    path.write_text(json.dumps(entries))
    place = f"BERT_benchmark_train_ablation.json: entry 2 (id 2) {message}"
    with pytest.raises(InputError, match=re.escape(place)):
        benchmarks.load("nas-bench-bert", DataFolder(data))


def test_a_number_that_is_not_known_is_none(data):
    path = data / made_up.SCORES / "BERT_benchmark.json"
    entries = json.loads(path.read_text())
    entries[3] |= {"time_to_train": None, "scores": {"glue": 80.5, "sst": None}}
    path.write_text(json.dumps(entries))
    row = benchmarks.load("nas-bench-bert", DataFolder(data)).results.loc["3"]
    assert row["glue"] == 80.5
    assert row[["sst", "cola", "seconds"]].isna().all()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ('{"recepie_id": 1,', "is no JSON"),
        ('{"recepie_id": 1}', "lacks 'train_losses'"),
        ("[1, 2]", "is no training log"),
    ],
)
def test_a_damaged_member_of_an_archive(data, member, message):
    content = made_up.archive({made_up.log_name(1): member})
    made_up.write(data, made_up.WIKITEXT, content)
    with pytest.raises(InputError, match=f"logs.zip: member {made_up.log_name(1)} {message}"):
        benchmarks.load("nas-bench-nlp", DataFolder(data))


def test_a_truncated_archive(data):
    path = data / made_up.WIKITEXT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is no whole zip file"):
        benchmarks.load("nas-bench-nlp", DataFolder(data))


def test_an_archive_with_a_damaged_block(data):
    path = data / made_up.WIKITEXT
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no whole zip file"):
        benchmarks.load("nas-bench-nlp", DataFolder(data))


def test_a_corrupt_json_file(data):
    path = data / made_up.SCORES / "BERT_benchmark.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"BERT_benchmark.json is no JSON"):
        benchmarks.load("nas-bench-bert", DataFolder(data))


def test_no_data_says_how_to_get_it(tmp_path):
    with pytest.raises(InputError, match="archscout data"):
        benchmarks.load("nas-bench-nlp", DataFolder(tmp_path))


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match="unknown benchmark 'x'; accepted are nas-bench-nlp"):
        benchmarks.load("x")
    with pytest.raises(InputError, match="no dataset 'x'; accepted are wikitext-2, ptb"):
        benchmarks.load("nas-bench-nlp", DataFolder(tmp_path), "x")
    with pytest.raises(InputError, match="no dataset 'x'; accepted is glue"):
        benchmarks.load("nas-bench-bert", DataFolder(tmp_path), "x")


def test_the_files_at_hand(shared):
    folder = DataFolder(shared / "upstream")
    found = benchmarks.load("nas-bench-nlp", folder)
    with zipfile.ZipFile(shared / "upstream" / made_up.WIKITEXT) as file:
        logs = [json.loads(file.read(name)) for name in file.namelist()]
    assert len(found) == len({log["recepie_id"] for log in logs})
    assert found.results["failed_runs"].sum() == sum(log["status"] != "OK" for log in logs)
    log = next(log for log in logs if log["status"] == "OK")
    best = min(range(len(log["val_losses"])), key=log["val_losses"].__getitem__)
    row = found.results.loc[str(log["recepie_id"])]
    assert row["test_loss"] == log["test_losses"][best]

    scores = tables.recurrent_scores(folder)
    text = (shared / "upstream/training-free-nas/data/RNN_results.csv").read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    losses = [float(row["loss"]) for row in rows]
    layer = [float(row["Layer 1 Hidden Covariance"]) for row in rows]
    tau = stats.kendalltau(losses, layer).statistic
    frame = scores.frame
    ours = stats.kendalltau(frame["loss"], frame["hidden_covariance[1]"]).statistic
    assert ours == tau
    assert scores.left_out == ()

    encoders = benchmarks.load("nas-bench-bert", folder)
    assert encoders.metrics["parameters"].notna().all()
    joined = benchmarks.load("nas-bench-nlp", folder, "ptb")
    assert set(joined.results.index) <= set(found.results.index)
    table = tables.recurrent_parameters(folder)
    assert all(
        not line.startswith("log_stats") or "nan,nan" in line or line.count(",") != 5
        for number, line in enumerate(
            (shared / "upstream/training-free-nas/data/RNN_parameters.csv").read_text().split("\n"),
            start=1,
        )
        if number in table.left_out
    )
