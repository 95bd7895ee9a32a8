"""YAML files with errors that name file and line: `file:line: what is wrong; what is expected`."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from giljabi.types import BadInputError

Key = tuple[str | int, ...]
M = TypeVar("M", bound="Strict")


class Strict(BaseModel):
    """Base of everything that is read from a file: unknown keys and non-finite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


class YamlFile:
    """One parsed file: `data` and the line of every key path."""

    def __init__(self, path: Path) -> None:
        """Reads and parses; raises BadInputError when the file is missing, unreadable, not text or not YAML."""
        self.path = path
        self.lines: dict[Key, int] = {}
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise BadInputError(f"{path}:1: not a text file; a YAML file is expected") from None
        except OSError as e:
            raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a YAML file is expected") from None
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = self._build(node, ()) if node is not None else None
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            line = mark.line + 1 if mark else 1
            raise BadInputError(f"{path}:{line}: {e.problem or 'not YAML'}; valid YAML is expected") from None
        except (yaml.YAMLError, ValueError, RecursionError) as e:
            reason = str(e).splitlines()[0] if str(e) else "not YAML"
            raise BadInputError(f"{path}:1: {reason}; valid YAML is expected") from None
        if not isinstance(self.data, dict):
            raise BadInputError(f"{path}:1: the file is empty or not a mapping; `key: value` lines are expected")

    def _build(self, node: yaml.Node, key: Key) -> Any:
        self.lines[key] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            out: dict[Any, Any] = {}
            for k, v in node.value:
                name = yaml.SafeLoader("").construct_object(k)
                if not isinstance(name, (str, int, float, bool)):
                    raise yaml.MarkedYAMLError(problem="a key is not plain text", problem_mark=k.start_mark)
                if name in out:
                    raise yaml.MarkedYAMLError(problem=f"key '{name}' stands twice", problem_mark=k.start_mark)
                out[name] = self._build(v, (*key, str(name)))
                self.lines[key + (str(name),)] = k.start_mark.line + 1
            return out
        if isinstance(node, yaml.SequenceNode):
            return [self._build(v, (*key, i)) for i, v in enumerate(node.value)]
        value = yaml.SafeLoader("").construct_object(node)
        if isinstance(value, float) and not math.isfinite(value):
            raise yaml.MarkedYAMLError(problem=f"{value} is not a finite number", problem_mark=node.start_mark)
        return value

    def line(self, key: Key) -> int:
        """Line of a key path, or of the nearest parent that is in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def error(self, key: Key, what: str) -> BadInputError:
        """A BadInputError at the line of `key`."""
        return BadInputError(f"{self.path}:{self.line(key)}: {what}")

    def validate(self, model: type[M], data: Any = None, key: Key = ()) -> M:
        """`data` (default: the whole file), which stands at `key`, as `model`; raises BadInputError with the line."""
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as e:
            # A misspelt key makes two errors, unknown and missing; the unknown one helps.
            first = min(e.errors(), key=lambda x: x["type"] != "extra_forbidden")
            raise self._explain(model, first, key) from None

    def _explain(self, model: type[BaseModel], error: Any, key: Key) -> BadInputError:
        loc = tuple(p for p in error["loc"] if isinstance(p, (str, int)))
        where = key + loc
        dotted = ".".join(str(p) for p in where) or "file"
        if error["type"] == "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            near = difflib.get_close_matches(str(loc[-1]), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys are {', '.join(sorted(known))}"
            return self.error(where, f"unknown key '{dotted}'; {hint}")
        if error["type"] == "missing":
            return self.error(where[:-1], f"'{dotted}' is missing; it is required")
        message = str(error["msg"]).removeprefix("Value error, ")
        shown = repr(error.get("input"))
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return self.error(where, f"'{dotted}' is {shown}; {message[0].lower() + message[1:]}")


def _keys_at(model: type[BaseModel], loc: Key) -> list[str]:
    """Known keys of the sub-model at `loc`, walking through dict and list annotations."""
    current: Any = model
    for part in loc:
        fields = getattr(current, "model_fields", None)
        if fields is not None and part in fields:
            current = _inner(fields[part].annotation)
    fields = getattr(current, "model_fields", None)
    return [f.alias or n for n, f in fields.items()] if fields else []


def _inner(annotation: Any) -> Any:
    """The model class inside dict[...], list[...], X | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for arg in reversed(getattr(annotation, "__args__", ())):
        found = _inner(arg)
        if found is not None:
            return found
    return None
