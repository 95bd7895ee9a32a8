"""YAML files with errors that name file and line: `file:line: what is wrong; what is expected`."""

from __future__ import annotations

import difflib
import math
import re
import types
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from giljabi.types import BadInputError

Key = tuple[str | int, ...]
M = TypeVar("M", bound="Strict")

MAX_BYTES = 16_000_000
MAX_NODES = 100_000  # a file may name a node many times by an alias, and so grow without end
# YAML 1.1 takes 1e3 and 1.0e3 for text; people do not.
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


class Strict(BaseModel):
    """Base of everything that is read from a file: unknown keys and non-finite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


class YamlFile:
    """One parsed file: `data` and the line of every key path."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Reads and parses; raises BadInputError when the file is missing, unreadable, not text or not YAML.

        text: what came another way than from a file; `path` is then its name in errors.
        """
        self.path = path
        self.lines: dict[Key, int] = {}
        self._nodes = 0
        self._loader = yaml.SafeLoader("")
        text = _read(path) if text is None else text
        if len(text) > MAX_BYTES:
            raise BadInputError(f"{path}:1: larger than {MAX_BYTES} bytes; a YAML file is expected")
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = self._build(node, ()) if node is not None else None
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            line = mark.line + 1 if mark else 1
            raise BadInputError(f"{path}:{line}: {e.problem or 'not YAML'}; valid YAML is expected") from None
        except yaml.reader.ReaderError as e:
            line = text.count("\n", 0, e.position) + 1
            what = f"character U+{e.character:04X} is not allowed"
            raise BadInputError(f"{path}:{line}: {what}; a YAML text file is expected") from None
        except RecursionError:
            raise BadInputError(f"{path}:1: nested too deeply; a flat YAML file is expected") from None
        except (yaml.YAMLError, ValueError) as e:
            reason = str(e).splitlines()[0] if str(e) else "not YAML"
            raise BadInputError(f"{path}:1: {reason}; valid YAML is expected") from None
        if not isinstance(self.data, dict):
            raise BadInputError(f"{path}:1: the file is empty or not a mapping; `key: value` lines are expected")

    def _build(self, node: yaml.Node, key: Key) -> Any:
        self.lines[key] = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            out: dict[Any, Any] = {}
            for k, v in node.value:
                name = self._scalar(k)
                if not isinstance(name, (str, int, float, bool)):
                    raise yaml.MarkedYAMLError(problem="a key is not plain text", problem_mark=k.start_mark)
                name = str(name) if isinstance(name, str) else k.value  # `on:` and `1:` are names like any other
                if name in out:
                    raise yaml.MarkedYAMLError(problem=f"key '{name}' stands twice", problem_mark=k.start_mark)
                out[name] = self._build(v, (*key, name))
                at = (*key, name)
                self.lines[at] = k.start_mark.line + 1
            return out
        if isinstance(node, yaml.SequenceNode):
            return [self._build(v, (*key, i)) for i, v in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        """The value of a plain node; raises MarkedYAMLError when it is not a finite number, or no valid date."""
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key is not plain text", problem_mark=node.start_mark)
        try:
            value = self._loader.construct_object(node)
            if isinstance(value, str) and node.style is None and _EXPONENT.fullmatch(value):
                value = float(value)
            if isinstance(value, int):
                float(value)
        except (ValueError, OverflowError, TypeError):
            what = f"'{node.value[:40]}' cannot be read"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from None
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
        data = self.data if data is None else data
        mistyped = _mistyped(model, data)
        if mistyped is not None:
            inside, value, expected = mistyped
            where = key + inside
            raise self.error(where, f"'{'.'.join(map(str, where))}' is {_shown(value)}; {expected} is expected")
        try:
            return model.model_validate(data)
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
        message = message[0].lower() + message[1:]
        if error["type"] == "value_error" and isinstance(error.get("input"), dict):
            return self.error(where, f"'{dotted}': {message}")  # a rule between several keys
        return self.error(where, f"'{dotted}' is {_shown(error.get('input'))}; {message}")


def _read(path: Path) -> str:
    """The file's text; raises BadInputError."""
    try:
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise BadInputError(f"{path}:1: larger than {MAX_BYTES} bytes; a YAML file is expected")
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}:1: not a text file; a YAML file is expected") from None
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a YAML file is expected") from None
    except ValueError:  # a path with a zero byte
        raise BadInputError(f"{str(path)!r}: not a path; a YAML file is expected") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _mistyped(annotation: Any, value: Any) -> tuple[Key, Any, str] | None:
    """First value that pydantic would take for a number or a truth value though it is not written as one.

    That are "0.5", true and yes as numbers, and 1 as true. Returns its key below `value`, the value, what is expected.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _mistyped(args[0], value)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        known = {f.alias or n: f.annotation for n, f in annotation.model_fields.items()}
        inside = [(k, known[k], v) for k, v in value.items() if k in known] if isinstance(value, dict) else []
    elif origin is dict and isinstance(value, dict):
        inside = [(k, args[1], v) for k, v in value.items()]
    elif origin in (list, tuple) and isinstance(value, list):
        of = args if origin is tuple and Ellipsis not in args else (args[0],) * len(value)
        inside = list(zip(range(len(value)), of, value, strict=False))
    elif origin in (Union, types.UnionType):
        choices = [a for a in args if a is not types.NoneType]
        return _mistyped(choices[0], value) if len(choices) == 1 else None
    elif annotation in (int, float) and isinstance(value, (bool, str)):
        return (), value, "a number"
    elif annotation is bool and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return (), value, "true or false"
    else:
        inside = []
    for k, a, v in inside:
        found = _mistyped(a, v)
        if found is not None:
            return (k, *found[0]), found[1], found[2]
    return None


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
