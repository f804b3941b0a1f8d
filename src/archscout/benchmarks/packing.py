"""Folders of small published files as one content, so that they are kept as files are.

The folders are those of LiteTransformerSearch's training logs: summaries by decoder in the folder
itself, and each decoder's configuration in a folder of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

CONFIGURATION = "model_config.yaml"


class _Strict(yaml.SafeLoader):
    """Reads YAML that names no key twice."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise ValueError(f"{key.value!r} stands there twice")
        seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def pack(folder: Path) -> bytes:
    """All YAML files of a folder and below as one content: their texts by relative path.

    Raises:
        OSError: one cannot be read.
        ValueError: one is no text.
    """
    texts = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in sorted(folder.rglob("*.yaml"))
    }
    return json.dumps(texts, sort_keys=True).encode()


def unpack(content: bytes, folder: Path) -> None:
    """Write what was packed to a folder that is not there yet."""
    for name, text in members(content).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")


def members(content: bytes) -> dict[str, str]:
    """The texts by relative path.

    Raises:
        ValueError: they are none, or a path leads out of the folder.
    """
    found = json.loads(content)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ValueError("it holds no texts by their paths")
    return {_below(name): text for name, text in found.items()}


def _below(name: str) -> str:
    """A path, as it is: relative, and below what it is relative to, on any system."""
    if not name or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        raise ValueError(f"{name!r} is no path below its folder")
    return name


def place_of(name: str) -> str:
    """Where the configuration of a decoder lies, by the name that summaries have for it.

    Raises:
        ValueError: the name leads out of the folder.

    >>> place_of("config_3_j0"), place_of("M7")
    ('config_3/j0/model_config.yaml', 'M7/model_config.yaml')
    """
    folder, job, number = name.rpartition("_j")
    return _below(f"{folder}/j{number}/{CONFIGURATION}" if job else f"{name}/{CONFIGURATION}")


def mapping(texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """One of the files, which holds a mapping.

    Raises:
        ValueError: it is missing, no YAML, no mapping, or names a key twice.
    """
    if name not in texts:
        raise ValueError(f"it has no {name}")
    try:
        found = yaml.load(texts[name], _Strict)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"its {name} is no YAML that can be read: {error}") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(f"its {name} holds no mapping")
    return {str(key): value for key, value in found.items()}
