"""The augmentation spec: one small YAML file that says how training pictures are changed at random.

    min_visibility: 0.25             # optional: a box of which a change leaves less than this share is dropped
    transforms:
      - HorizontalFlip: {p: 0.5}
      - OneOf:                       # one of these; SomeOf takes n of them; Sequential keeps some together
          p: 0.3
          transforms:
            - GaussianBlur: {sigma_limit: [0.3, 1.5]}
            - GaussNoise

Names and arguments are those of Albumentations; `datasets.augment` checks and builds them. The presets are such files.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import NotFoundError, UsageError

PRESETS = ("none", "light", "default", "heavy")
GROUPS = ("OneOf", "SomeOf", "Sequential")
"""Transforms that hold others."""

_MOST_BYTES = 64 << 10
_DEEPEST = 32
_KEYS = ("transforms", "min_visibility")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Transform:
    """One change: the name of Albumentations' class, and its arguments by keyword.

    Attributes:
        name: "HorizontalFlip", say.
        arguments: None, booleans, numbers, words, and lists of these.
        inside: The transforms of a group; empty for every other.
        line: Where it stands in its file, counted from 1; 0 when it comes from no file.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inside: tuple[Transform, ...] = ()
    line: int = field(default=0, compare=False)

    def as_data(self) -> dict[str, Any]:
        """As it stands in a spec."""
        inside = {"transforms": [transform.as_data() for transform in self.inside]} if self.inside else {}
        return {self.name: {**self.arguments, **inside}}

    def leaves(self) -> Iterator[Transform]:
        """The transforms that change a picture: this one, or those inside it."""
        if self.name not in GROUPS:
            yield self
        for transform in self.inside:
            yield from transform.leaves()


@dataclass(frozen=True)
class AugmentSpec:
    """How training pictures are changed.

    Attributes:
        name: A preset's name, or the file's.
        transforms: What is done, in order.
        min_visibility: 0..1. A box is dropped when one change leaves less than this share of its area.
        source: What error messages call it: the file's path, or the preset's name.
    """

    name: str
    transforms: tuple[Transform, ...] = ()
    min_visibility: float = 0.25
    source: str = field(default="augmentation", compare=False)

    @property
    def sha256(self) -> str:
        """64 hex digits over what is done, whatever the file is called and however it is laid out."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    def as_record(self) -> dict[str, Any]:
        """For run.json; `from_record` reads it."""
        return {"name": self.name, "sha256": self.sha256, **self._content()}

    def as_yaml(self) -> str:
        """As a file that `read_spec` reads."""
        return yaml.safe_dump(self._content(), sort_keys=False, default_flow_style=None, width=110)

    def _content(self) -> dict[str, Any]:
        transforms = [transform.as_data() for transform in self.transforms]
        return {"min_visibility": self.min_visibility, "transforms": transforms}

    def __str__(self) -> str:
        names = ", ".join(leaf.name for transform in self.transforms for leaf in transform.leaves())
        return f"{self.name} ({names or 'no changes'})"


def read_spec(given: str | Path) -> AugmentSpec:
    """The spec that a person named: a preset, or a YAML file.

    Only its form is looked at; `datasets.augment.check_spec` asks Albumentations whether it can be done.

    Raises:
        UsageError: there is no such preset, or the file is not a spec; it names the line.
        NotFoundError: there is no such file.
    """
    name = str(given)
    if name in PRESETS:
        return _parse(preset_text(name), name, f"the preset {name}")
    path = Path(given).expanduser()
    if not path.is_file():
        if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
            raise NotFoundError(
                "There is no such augmentation file.",
                where=path,
                next_step=f"write one to start from: cv preview --augment default --write {path.name}",
            )
        near = difflib.get_close_matches(name, PRESETS, n=1)
        raise UsageError(
            f"There is no augmentation called '{name}'{f'; did you mean {near[0]}?' if near else '.'}",
            where="--augment",
            next_step=f"use one of {', '.join(PRESETS)}, or a YAML file",
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError("This file is too large for an augmentation.", where=path, next_step="give another file")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("This file is not text.", where=path, next_step="give a YAML file") from None
    return _parse(text, path.name, str(path))


def preset_text(name: str) -> str:
    """The file of a preset, with its comments."""
    return resources.files("lensmith.datasets").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")


def from_record(record: Mapping[str, Any]) -> AugmentSpec:
    """The spec that `AugmentSpec.as_record` gave.

    Raises:
        UsageError: the record was changed since.
    """
    content = {key: record[key] for key in _KEYS if key in record}
    text = yaml.safe_dump(content, sort_keys=False)
    spec = _parse(text, str(record.get("name", "augmentation")), "run.json, augment")
    if spec.sha256 != record.get("sha256"):
        raise UsageError(
            "The augmentation in run.json was changed since the run began, so the run cannot go on with it.",
            where="run.json",
            next_step="start the training anew",
        )
    return spec


def _parse(text: str, name: str, source: str) -> AugmentSpec:
    try:
        _look_through(text, source)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise UsageError(f"This is not YAML: {getattr(error, 'problem', None) or error}.", where=where) from None
    return _Reader(source).spec(root, name)


def _look_through(text: str, source: str) -> None:
    """Refuse what would take a parser long: anchors that multiply, and thousands of brackets."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise UsageError("This file is nested too deeply.", where=f"{source}, line {event.start_mark.line + 1}")
        if isinstance(event, yaml.AliasEvent):
            raise UsageError("YAML's & and * are not taken here.", where=source, next_step="write the values out")


class _Reader:
    """From YAML nodes, which know their lines, to a spec."""

    def __init__(self, source: str) -> None:
        self._source = source

    def spec(self, root: yaml.Node | None, name: str) -> AugmentSpec:
        otherwise = "An augmentation file has a key 'transforms:' with a list below it."
        keys = self._mapping(root, otherwise) if root else {}
        for key, node in keys.items():
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {' and '.join(_KEYS)}."
                raise self._wrong(f"An augmentation file has no key '{key}'; {hint}", node)
        if root is None or "transforms" not in keys:
            raise self._wrong(otherwise, root)
        visibility = self._value(keys["min_visibility"]) if "min_visibility" in keys else 0.25
        if isinstance(visibility, bool) or not isinstance(visibility, (int, float)) or not 0 <= visibility <= 1:
            raise self._wrong("min_visibility lies between 0 and 1.", keys["min_visibility"])
        return AugmentSpec(name, self._transforms(keys["transforms"]), float(visibility), self._source)

    def _transforms(self, node: yaml.Node) -> tuple[Transform, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong("Transforms are a list: one line each, starting with a dash.", node)
        return tuple(self._transform(entry) for entry in node.value)

    def _transform(self, node: yaml.Node) -> Transform:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return Transform(str(node.value), line=line)
        entries = list(self._mapping(node, "A transform is written as Name: {argument: value}.").items())
        if len(entries) != 1:
            raise self._wrong("A transform is one name with its arguments in braces or indented below it.", node)
        ((name, below),) = entries
        if isinstance(below, yaml.ScalarNode) and below.tag.endswith(":null"):
            return Transform(name, line=line)
        keys = self._mapping(below, f"The arguments of {name} are written as {{argument: value}}.")
        inside = ()
        if name in GROUPS:
            if "transforms" not in keys:
                raise self._wrong(f"{name} has a key 'transforms:' with a list below it.", node)
            inside = self._transforms(keys.pop("transforms"))
            if not inside:
                raise self._wrong(f"{name} holds no transform.", node)
        return Transform(name, {key: self._value(value) for key, value in keys.items()}, inside, line)

    def _mapping(self, node: yaml.Node | None, otherwise: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(otherwise, node)
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(otherwise, key)
            if key.value in found:
                raise self._wrong(f"'{key.value}' stands here twice.", key)
            found[key.value] = value
        return found

    def _value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self._value(entry) for entry in node.value]
        if isinstance(node, yaml.ScalarNode):
            # YAML 1.1 takes 1e-3 for a word.
            if node.style is None and _NUMBER.fullmatch(node.value):
                return int(node.value) if re.fullmatch(r"[-+]?\d+", node.value) else float(node.value)
            kind = node.tag.rpartition(":")[2]
            if kind in {"null", "bool"}:
                return yaml.SafeLoader("").construct_object(node)
            if kind in {"str", "timestamp"}:
                return str(node.value)
        raise self._wrong("A value is a number, a word, true, false, or a list of these in brackets.", node)

    def _wrong(self, what: str, node: yaml.Node | None) -> UsageError:
        where = f"{self._source}, line {node.start_mark.line + 1}" if node else self._source
        return UsageError(what, where=where, next_step="cv preview --augment default --write my.yaml writes an example")
