"""Rankers in files, without pickle: a description in JSON, and the estimator as skops has it.

A file of a ranker is a zip archive of `ranker.json` and `model.skops`. Loading it runs nothing of
what it holds: skops constructs objects of types that it trusts, and the one more that is named
here, whose content is checked.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from archscout.errors import InputError, first_fault
from archscout.files import write_whole
from archscout.predictors.estimators import CANDIDATES
from archscout.predictors.information import FORMAT, Information

_INFORMATION = "ranker.json"
_MODEL = "model.skops"
_TREE = "sklearn.tree._tree.Tree"  # skops leaves it to us, for its links are followed unchecked
_LIBRARIES = ("archscout", "scikit-learn")
_LEAF = -1
_LARGEST = 256 * 2**20
"""Bytes that an archive may unpack to; a forest has some hundred thousand."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, struct.error),
    *(ValueError, RuntimeError),  # a name in no encoding, encryption
)


def versions() -> dict[str, str]:
    """Of what decides whether a ranker can be used."""
    return {name: version(name) for name in _LIBRARIES}


def check_installed() -> None:
    """Make sure that rankers can be written and read."""
    _skops()


def check_writable(path: Path) -> None:
    """Make sure that a ranker can be written to a file."""
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; a file's name is accepted")
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise InputError(f"cannot write {path}: {place} is no folder that can be written to")


def write(path: Path, information: Information, regressor: Any) -> None:
    """Write a ranker, whole or not at all."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_INFORMATION, information.model_dump_json(indent=2) + "\n")
        archive.writestr(_MODEL, _skops().dumps(regressor))
    write_whole(path, content.getvalue())


def read(path: Path) -> tuple[Information, Any]:
    """A ranker's information and regressor."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = _unpacked(archive)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except _UNREADABLE as error:
        raise InputError(f"{path} is no ranker, or damaged: {error}") from error
    if missing := {_INFORMATION, _MODEL} - parts.keys():
        raise InputError(f"{path} is no ranker, or damaged: it lacks {min(missing)}")
    information = _information(path, parts[_INFORMATION])
    return information, _regressor(path, parts[_MODEL], information)


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The content of every member, of as many bytes as the archive says and no more."""
    members = archive.infolist()
    for member in members:
        if member.compress_type not in _COMPRESSIONS:
            raise zipfile.BadZipFile(f"{member.filename} is compressed in an unknown way")
    if (size := sum(member.file_size for member in members)) > _LARGEST:
        raise zipfile.BadZipFile(f"it unpacks to {size} bytes; {_LARGEST} are accepted")
    contents = {}
    for member in members:
        with archive.open(member) as file:
            contents[member.filename] = file.read(member.file_size)
    return contents


def _repacked(content: bytes) -> bytes:
    """An archive without compression, which skops unpacks to no more than there is."""
    repacked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(repacked, "w") as copy:
        for name, member in _unpacked(archive).items():
            copy.writestr(name, member)
    return repacked.getvalue()


def _information(path: Path, content: bytes) -> Information:
    try:
        document = json.loads(content)
        _check_versions(path, document)
        return Information.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_fault(error)}") from error
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {_INFORMATION}: {error}") from error


def _check_versions(path: Path, document: Mapping[str, Any]) -> None:
    """Metrics, and what estimators hold, may change with any version."""
    if (found := document["format"]) != FORMAT:
        raise InputError(f"{path} is of format {found!r}; accepted is {FORMAT}: fit it again")
    for name, ours in versions().items():
        if (theirs := document["versions"][name]) != ours:
            made = f"{path} was made with {name} {theirs}, and this is {ours}"
            raise InputError(f"{made}: fit it again")


def _regressor(path: Path, content: bytes, information: Information) -> Any:
    skops = _skops()
    if (name := information.estimator) not in CANDIDATES:
        accepted = ", ".join(CANDIDATES)
        raise InputError(f"{path} is damaged: estimator {name!r}; accepted are {accepted}")
    try:
        content = _repacked(content)
        if unknown := set(skops.get_untrusted_types(data=content)) - {_TREE}:
            raise InputError(f"{path} holds {', '.join(sorted(unknown))}, which is not trusted")
        regressor = skops.loads(content, trusted=[_TREE])
        _check(regressor, information)
    except InputError:
        raise
    # skops lets errors of several libraries through, and what it builds may be anything.
    except Exception as error:
        raise InputError(f"{path} is damaged: {_MODEL}: {error}") from error
    return regressor


def _check(regressor: Any, information: Information) -> None:
    """Make sure that predicting reads nothing but the model's own numbers."""
    expected = CANDIDATES[information.estimator](information.seed)
    width = information.features.width
    if type(regressor) is not type(expected):
        raise ValueError(f"a {type(regressor).__name__}, not a {type(expected).__name__}")
    if regressor.get_params() != expected.get_params():
        raise ValueError("other parameters than archscout fits with")
    if regressor.n_features_in_ != width:
        raise ValueError(f"{regressor.n_features_in_} features, not {width}")
    trees = getattr(regressor, "estimators_", [])
    for estimator in trees:
        if type(estimator) is not type(expected.estimator):
            raise ValueError(f"a {type(estimator).__name__} among the trees")
        _check_tree(estimator.tree_, width)
    predicted = regressor.predict(np.zeros((1, width)))
    if predicted.shape != (1,) or not np.isfinite(predicted).all():
        raise ValueError("predictions that are no numbers")


def _check_tree(tree: Any, width: int) -> None:
    """Make sure that every path from the root ends in a leaf, by features that there are."""
    if not 1 <= tree.node_count <= tree.capacity or tree.n_features != width:
        raise ValueError("a tree of other nodes or features than it says")
    if tree.n_outputs != 1 or tree.max_n_classes != 1:
        raise ValueError("a tree of several outputs")
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != _LEAF
    nodes = np.arange(tree.node_count)
    for children in (left[inner], right[inner]):
        # A child comes after its parent, so that no path is a circle.
        if (children <= nodes[inner]).any() or (children >= tree.node_count).any():
            raise ValueError("a tree whose links lead out of it")
    if (feature[inner] < 0).any() or (feature[inner] >= width).any():
        raise ValueError("a tree that reads a feature that is not there")


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise InputError(
            "a ranker's file needs the package skops: pip install 'archscout[ranker]'"
        ) from error
    return skops.io
