"""YAML into models: every fault becomes one line that names file, key, what was expected and the nearest valid key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from replications.errors import InputError, nearest

_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML has it: ten times as fast


class _UniqueKeyLoader(_SafeLoader):  # type: ignore[misc, valid-type]  # mypy knows no base that is chosen at run time
    """Safe YAML that refuses a key given twice instead of keeping the last."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, "a list or a mapping cannot be a key", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Args:
        path: YAML file.

    Returns:
        Key -> value.

    Raises:
        InputError: the file is missing, not valid YAML, or not a mapping; file and line are named.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise InputError(f"{path} is missing.") from None
    except RecursionError:
        raise InputError(f"{path} is no valid YAML: it is nested too deep.") from None
    except (OSError, yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or such as a date that no calendar has
        raise InputError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping at the top, got {type(content).__name__}.")
    return content


M = TypeVar("M", bound=BaseModel)


def _key(location: tuple[int | str, ...], content: Any) -> str:
    """Return a fault's place as a dotted key; entries of lists by their id or label where they have one."""
    parts = []
    for part in location:
        if _is_tag(part, content):
            continue
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
        name = content.get("id") or content.get("label") if isinstance(part, int) and isinstance(content, dict) else None
        parts.append(f"[{name}]" if name else str(part))
    return ".".join(parts).replace(".[", "[") or "(top)"


def _is_tag(part: int | str, content: Any) -> bool:
    """Return True for the part of a location that names the kind chosen from a union, and no key of the file."""
    return isinstance(part, str) and isinstance(content, dict) and part not in content and content.get("kind") == part


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the names of the valid keys beside the one at `location`, found by walking the model's annotations."""
    current: Any = model
    candidates: list[type[BaseModel]] = []
    for part in location[:-1]:
        tagged = [candidate for candidate in candidates if str(part) in _tags(candidate)]
        if tagged:
            current, candidates = tagged[0], []
            continue
        candidates = (
            _models_in(current.model_fields[part].annotation) if _is_model(current) and part in current.model_fields else candidates
        )
        current = candidates[0] if candidates else current
    return sorted(current.model_fields) if _is_model(current) else []


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the values of `kind` that choose this model from a union."""
    return getattr(model.model_fields["kind"].annotation, "__args__", ()) if "kind" in model.model_fields else ()


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def validate(model: type[M], content: dict[str, Any], where: str) -> M:
    """Validate `content`, turning every fault into one line: where, key, what was expected, the nearest valid key.

    Args:
        model: the pydantic model.
        content: the mapping to validate.
        where: its origin, for messages.

    Returns:
        An instance of the model.

    Raises:
        InputError: listing all faults.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            key = _key(fault["loc"], content)
            if fault["type"] == "extra_forbidden":
                hint = f"unknown key. {nearest(str(fault['loc'][-1]), _fields_at(model, fault['loc']))}"
            elif fault["type"] == "missing":
                hint = "missing. Every such entry needs this key."
            else:
                got = "" if isinstance(fault["input"], dict | list | BaseModel) else f", got {fault['input']!r}"
                hint = fault["msg"].removeprefix("Value error, ") + got + "."
            lines.append(f"{where}: {key}: {hint}")
        raise InputError("\n".join(lines)) from None
