"""`giljabi build-model`: a model written as a C++ struct becomes a module that Python imports."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from giljabi.platform import share_dir
from giljabi.types import BadInputError, GiljabiError

_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off", "-Wno-psabi")
_SETS = {"baseline": (), "avx2": ("-mavx2", "-mfma")}
_SETS["avx512"] = (*_SETS["avx2"], "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw")
# What a model's module and giljabi must agree on; cpp_ext/CMakeLists.txt computes the same of the same files.
_SHARED = (
    "bindings/solver_interface.hpp",
    "include/giljabi/models/outside.hpp",
    "include/giljabi/solver/result.hpp",
    "include/giljabi/solver/table.hpp",
)


def interface(code: Path) -> str:
    """SHA-256 over those of the headers in `code` that both sides share."""
    each = "".join(hashlib.sha256((code / name).read_bytes()).hexdigest() for name in _SHARED)
    return hashlib.sha256(each.encode()).hexdigest()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `giljabi build-model`."""
    parser.add_argument("file", metavar="FILE.hpp", type=Path, help="header with the model's struct")
    parser.add_argument("--struct", metavar="S", help="name of the struct, where the file has several")
    parser.add_argument("--name", metavar="NAME", help="name of the module and the model; default: that of the file")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="where the module goes; default: here")
    parser.epilog = "example: giljabi build-model examples/unicycle.hpp"


def run(args: argparse.Namespace) -> int:
    """Builds the module and prints its path."""
    name = args.name or args.file.stem
    if not name.isidentifier():
        raise BadInputError(f"--name {name}: a word of letters, digits and _ is expected")
    struct = args.struct or find_struct(args.file)
    print(build(args.file, struct, name, args.out))
    return 0


def find_struct(file: Path) -> str:
    """Name, with its namespace, of the only struct in the file that has dynamics."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadInputError(f"{file}:1: cannot be read ({e}); a C++ header is expected") from None
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    parts = re.split(r"\bstruct\s+(\w+)[^;{]*\{", text)
    found = [n for n, body in zip(parts[1::2], parts[2::2], strict=True) if re.search(r"\bdynamics\s*\(", body)]
    if len(found) != 1:
        what = f"several structs with dynamics: {', '.join(found)}" if found else "no struct with dynamics"
        raise BadInputError(f"{file}:1: {what}; one, or --struct NAME, is expected")
    space = re.findall(r"\bnamespace\s+([\w:]+)\s*\{", text)
    return "::".join([*space, found[0]])


def build(file: Path, struct: str, name: str, out: Path) -> Path:
    """Compiles the struct for this machine and this Python; returns the module's file."""
    from giljabi import solver

    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise BadInputError("no C++ compiler was found; install one (apt install g++) or name it in CXX")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise BadInputError(f"{headers} has no Python.h; install Python's headers (apt install python3-dev)")
    code = share_dir() / "cpp_ext"
    if not (code / "bindings" / "own_model.hpp").exists():
        raise BadInputError(f"{code} has no headers of the solver; reinstall giljabi")
    if not out.is_dir():
        raise BadInputError(f"--out {out}: not a folder; an existing one is expected")
    target = out / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = [
        f'-DGILJABI_INTERFACE="{interface(code)}"',
        f"-I{code / 'include'}",
        f"-I{code / 'bindings'}",
        f"-I{headers}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        source, module = Path(folder) / f"{name}.cpp", Path(folder) / target.name
        source.write_text(
            f'#include "{file.resolve()}"\n\n#include "own_model.hpp"\n\nGILJABI_OWN_MODEL({name}, {struct})\n',
            encoding="utf-8",
        )
        command = [*compiler.split(), *_FLAGS, *_SETS[solver.variant()], *include, str(source), "-o", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[:1]
            print(done.stderr, file=sys.stderr) if os.environ.get("GILJABI_VERBOSE") else None
            raise GiljabiError(f"{errors[0] if errors else compiler + ' failed'}; GILJABI_VERBOSE=1 shows all")
        shutil.move(module, target)
    return target
