"""Compares the committed stubs of giljabi._core with the built module: names, arguments, defaults; exit 1 with a list.

usage: .venv/bin/python scripts/stubs.py [--draft DIR]

The stubs are written by hand, with closer types than pybind11 knows; what a generator sees in the module must be in
them and nothing else. --draft writes what the generator sees, as a start for a new submodule.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUBS = ROOT / "src" / "giljabi" / "_core"
IGNORED = {"__all__", "__hash__", "__repr__", "__members__", "name", "value"}  # what every class or enum has
Signature = tuple[str, ...]


def generate(folder: Path) -> Path:
    """Lets pybind11-stubgen write into `folder`; returns where the stubs of _core are."""
    command = [sys.executable, "-m", "pybind11_stubgen", "--exit-code", "-o", str(folder), "giljabi._core"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    return folder / "giljabi" / "_core"


def signature(node: ast.FunctionDef) -> Signature:
    """Argument names without self, with `=` after those that have a default, `*` before keyword-only ones."""
    a = node.args
    positional = [*a.posonlyargs, *a.args]
    first_default = len(positional) - len(a.defaults)
    names = [arg.arg + ("=" if i >= first_default else "") for i, arg in enumerate(positional)]
    if names and names[0] in ("self", "cls"):
        names = names[1:]
    if a.vararg:
        names.append("*" + a.vararg.arg)
    names += [
        "*" + arg.arg + ("=" if d is not None else "") for arg, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)
    ]
    return tuple(names)


def contents(file: Path) -> dict[str, set[Signature]]:
    """Every public name of a stub file; functions with the signatures of their overloads, else an empty set."""
    out: dict[str, set[Signature]] = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                out[prefix + node.name] = set()
                walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                decorators = {ast.unparse(d) for d in node.decorator_list}
                plain = not any(d == "property" or d.endswith(".setter") for d in decorators)
                out.setdefault(prefix + node.name, set()).update({signature(node)} if plain else set())
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                out[prefix + node.target.id] = set()

    walk(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return {n: s for n, s in out.items() if n.rsplit(".", 1)[-1] not in IGNORED}


def agrees(committed: Signature, seen: Signature) -> bool:
    """True when names and defaults agree; arguments that pybind11 knows no name of (`arg0`) agree with any name."""
    if len(committed) != len(seen):
        return False
    return all(c == s or re.fullmatch(r"arg\d+", s) for c, s in zip(committed, seen, strict=True))


def compare(stub: Path, made: Path) -> list[str]:
    """Differences of one submodule, in words."""
    if not stub.exists():
        return [f"{stub.name} is missing; start from: scripts/stubs.py --draft DIR"]
    ours, theirs = contents(stub), contents(made)
    out = [f"{stub.name}: {n} is in the module and not in the stub" for n in sorted(theirs.keys() - ours.keys())]
    # What has no constructor in Python is shown by the generator as one that takes anything.
    extra = [n for n in sorted(ours.keys() - theirs.keys()) if not n.endswith("__init__")]
    out += [f"{stub.name}: {n} is in the stub and not in the module" for n in extra]
    for name in sorted(ours.keys() & theirs.keys()):
        for seen in theirs[name]:
            if not any(agrees(c, seen) for c in ours[name]) and not any(s.startswith("*") for s in seen):
                known = " or ".join(f"({', '.join(c)})" for c in sorted(ours[name])) or "no function"
                out.append(f"{stub.name}: {name} takes ({', '.join(seen)}); the stub says {known}")
    return out


def main() -> int:
    """Compares all submodules, or writes drafts."""
    parser = argparse.ArgumentParser(description="compare the stubs of giljabi._core with the built module")
    parser.add_argument("--draft", type=Path, metavar="DIR", help="write what the generator sees to DIR")
    args = parser.parse_args()
    if args.draft:
        print(generate(args.draft))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        made = generate(Path(folder))
        files = sorted({p.name for p in [*made.glob("*.pyi"), *STUBS.glob("*.pyi")]})
        problems = []
        for name in files:
            if (made / name).exists():
                problems += compare(STUBS / name, made / name)
            else:
                problems.append(f"{name}: the module has no such submodule")
    print("\n".join(problems), file=sys.stderr) if problems else print(f"{len(files)} stubs agree with the module")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
