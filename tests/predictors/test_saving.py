"""Files of rankers: the same predictions, and nothing that is damaged or not trusted."""

import io
import json
import os
import pickle
import sys
import zipfile

import pytest
import skops.io
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer

from archscout.errors import InputError
from archscout.predictors import Ranker, fit, saving
from archscout.predictors.estimators import CANDIDATES, fit_model
from archscout.predictors.examples import examples
from archscout.predictors.saving import check_installed


def parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, **changed):
    """Replace a file's model, or change keys of its information."""
    found = parts(path)
    if "model" in changed:
        found["model.skops"] = changed.pop("model")
    document = json.loads(found["ranker.json"]) | changed
    found["ranker.json"] = json.dumps(document).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content)


@pytest.fixture(scope="module")
def information(noisy):
    return fit(noisy(40)).information


def fitted(noisy, information, estimator):
    """A ranker of that estimator, whichever was the best."""
    done = noisy(40)
    found = examples([done], list(information.features.finite))
    model = fit_model(estimator, found, 0)
    return Ranker(information.model_copy(update={"estimator": estimator}), model.regressor)


@pytest.mark.parametrize("estimator", CANDIDATES)
def test_a_loaded_ranker_predicts_the_same(noisy, information, estimator, tmp_path):
    ranker = fitted(noisy, information, estimator)
    ranker.save(tmp_path / "a.ranker")
    loaded = Ranker.load(tmp_path / "a.ranker")
    judged = noisy(40, seed=1, first=40)
    assert loaded.information == ranker.information
    assert loaded.predict(judged).equals(ranker.predict(judged))


def test_the_file_says_what_it_was_fitted_on(noisy, tmp_path):
    fit(noisy(40), seed=5).save(tmp_path / "a.ranker")
    document = json.loads(parts(tmp_path / "a.ranker")["ranker.json"])
    assert document["kind"] == "other"
    assert document["scoring"]["space"] == "rnn"
    assert document["scoring"]["text_sha256"] == "0" * 64
    assert document["metrics"] == ["hidden_covariance", "activation_distance"]
    assert document["origins"] == [
        {
            "benchmark": "planted",
            "dataset": "made-up",
            "target": "loss",
            "labels": 40,
            "modified": [],
        }
    ]
    assert document["seed"] == 5
    assert {"archscout", "scikit-learn"} <= document["versions"].keys()
    found = document["cross_validation"]
    assert found["low"] < found["kendall"] < found["high"]


@pytest.fixture
def saved(noisy, information, tmp_path):
    path = tmp_path / "a.ranker"
    fitted(noisy, information, "ridge").save(path)
    return path


def test_files_that_are_no_rankers(saved, tmp_path):
    whole = saved.read_bytes()
    pickled = tmp_path / "b.ranker"
    pickled.write_bytes(pickle.dumps([1, 2]))
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for content in (b"", whole[:100], whole[:-40], b"PK\3\4" + bytes(50), empty.getvalue()):
        saved.write_bytes(content)
        with pytest.raises(InputError, match="is no ranker, or damaged"):
            Ranker.load(saved)
    with pytest.raises(InputError, match="is no ranker, or damaged"):
        Ranker.load(pickled)
    with pytest.raises(InputError, match=r"cannot read .*none\.ranker: No such file"):
        Ranker.load(tmp_path / "none.ranker")
    with pytest.raises(InputError, match="cannot read"):
        Ranker.load(tmp_path)


def packed(members, compression=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(saved, monkeypatch):
    monkeypatch.setattr(saving, "_LARGEST", 2**20)
    found = parts(saved)
    zeros = bytes(2**20 + 1)
    saved.write_bytes(packed(found | {"ranker.json": zeros}))
    with pytest.raises(InputError, match=r"damaged: it unpacks to .* 1048576 are accepted"):
        Ranker.load(saved)
    saved.write_bytes(packed(found | {"model.skops": packed({"schema.json": zeros})}))
    with pytest.raises(InputError, match="it unpacks to 1048577 bytes"):
        Ranker.load(saved)


def test_a_size_that_is_a_lie_is_not_exceeded(saved):
    whole = bytearray(packed(parts(saved) | {"ranker.json": bytes(2**20)}))
    place = whole.index(b"PK\1\2")  # of the first member's entry in the directory
    whole[place + 24 : place + 28] = (10).to_bytes(4, "little")
    saved.write_bytes(whole)
    with pytest.raises(InputError, match="Bad CRC-32"):
        Ranker.load(saved)


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(saved, compression):
    found = parts(saved)
    saved.write_bytes(packed(found, compression))
    with pytest.raises(InputError, match=r"ranker\.json is compressed in an unknown way"):
        Ranker.load(saved)
    saved.write_bytes(packed(found | {"model.skops": packed({"schema.json": b"{}"}, compression)}))
    with pytest.raises(InputError, match=r"schema\.json is compressed in an unknown way"):
        Ranker.load(saved)


def test_information_that_is_nested_too_deep(saved):
    deep = b"[" * 100_000 + b"]" * 100_000
    saved.write_bytes(packed(parts(saved) | {"ranker.json": deep}))
    with pytest.raises(InputError, match=r"is damaged: ranker\.json"):
        Ranker.load(saved)
    saved.write_bytes(packed(parts(saved) | {"model.skops": packed({"schema.json": deep})}))
    with pytest.raises(InputError, match="is damaged"):
        Ranker.load(saved)


def test_a_byte_that_is_wrong_is_noticed(saved):
    whole = bytearray(saved.read_bytes())
    for place in range(60, len(whole) - 200, len(whole) // 12):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        saved.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            Ranker.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "is of format 1; accepted is 2"),
        ({"versions": {}}, "damaged"),
        ({"versions": {"archscout": "9.9", "scikit-learn": "0"}}, "archscout 9.9, and this is"),
        ({"estimator": "oracle"}, "estimator 'oracle'; accepted are ridge"),
        ({"estimator": "random_forest"}, "a Ridge, not a RandomForestRegressor"),
        ({"kind": "brain"}, "damaged: kind"),
        ({"surprise": 1}, "damaged: surprise"),
        ({"scoring": {"space": "rnn", "seeds": []}}, "damaged: scoring"),
        ({"features": {"finite": {"a": [1.0]}, "infinite": [], "missing": []}}, "features, not 1"),
    ],
)
def test_information_that_is_wrong(saved, changes, message):
    rewrite(saved, **changes)
    with pytest.raises(InputError, match=message):
        Ranker.load(saved)


def test_types_that_are_not_trusted(saved, tmp_path):
    proof = tmp_path / "ran"
    for model in (FunctionTransformer(os.system), fit_by(os.system)):
        rewrite(saved, model=skops.io.dumps(model))
        with pytest.raises(InputError, match=r"holds posix\.system, which is not trusted"):
            Ranker.load(saved)
    rewrite(saved, model=skops.io.dumps(KNeighborsRegressor()))
    with pytest.raises(InputError, match="a KNeighborsRegressor, not a Ridge"):
        Ranker.load(saved)
    rewrite(saved, model=pickle.dumps(_Runs(proof)))
    with pytest.raises(InputError, match="damaged"):
        Ranker.load(saved)
    assert not proof.exists()


def fit_by(function):
    return {"predict": function}


class _Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_trees_whose_links_lead_astray(noisy, information, name, tmp_path):
    path = tmp_path / "a.ranker"
    ranker = fitted(noisy, information, name)
    tree = ranker._regressor.estimators_[3].tree_
    for array, value, message in (
        ("children_left", 10**6, "links lead out of it"),
        ("children_right", 0, "links lead out of it"),
        ("children_right", -7, "links lead out of it"),
        ("feature", 40, "a feature that is not there"),
    ):
        links = getattr(tree, array)
        before, links[0] = links[0], value
        ranker.save(path)
        links[0] = before
        with pytest.raises(InputError, match=message):
            Ranker.load(path)


def test_a_file_that_cannot_be_written(saved, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        Ranker.load(saved).save(tmp_path / "folder")


def test_without_skops_it_is_said_what_to_install(saved, monkeypatch):
    ranker = Ranker.load(saved)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for use in (check_installed, lambda: ranker.save(saved), lambda: Ranker.load(saved)):
        with pytest.raises(InputError, match=r"pip install 'archscout\[ranker\]'"):
            use()


def test_another_space_or_other_scores_are_refused(noisy, saved):
    ranker = Ranker.load(saved)
    with pytest.raises(InputError, match="is of space flexibert; the ranker is for space rnn"):
        ranker.predict(noisy(30, space="flexibert"))
    for changes in (
        {"scale": {"batch_size": 8}},
        {"text_sha256": "2" * 64},
        {"seeds": (9,)},
        {"minibatches": (1,)},
        {"objective": "cotangent"},
        {"split": "valid"},
        {"vocabulary_size": 50},
    ):
        with pytest.raises(InputError, match=f"scores of {next(iter(changes))}"):
            ranker.predict(noisy(30, **changes))
    lacking = noisy(30, metrics=("activation_distance",))
    lacking = type(lacking)(
        lacking.benchmark,
        lacking.settings,
        lacking.rows,
        {"activation_distance": True},
        lacking.folder,
    )
    with pytest.raises(InputError, match="metric 'hidden_covariance' is not among the scores"):
        ranker.predict(lacking)
