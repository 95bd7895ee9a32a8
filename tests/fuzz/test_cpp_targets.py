"""Every libFuzzer target for a short while, with sanitizers, from the same seed; `make fuzz` runs them long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from seeds import seeds

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.stem for p in (ROOT / "cpp_ext/fuzz").glob("*.cpp"))
RECORDINGS = Path(os.environ.get("GILJABI_DATA", ROOT.parent / "shared" / "data"))
RUNS = {"solver": 5_000, "solver_outside": 5_000, "velocity_fence": 2_000}  # the others 30,000


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the built programs."""
    probe = 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }'
    compiler = shutil.which("clang++")
    if compiler is None:
        pytest.skip("no clang++; install clang and libclang-rt-<version>-dev")
    given = [compiler, "-fsanitize=fuzzer,address", "-x", "c++", "-", "-o", os.devnull]
    if subprocess.run(given, input=probe.encode(), capture_output=True, check=False).returncode:
        pytest.skip("clang++ has no libFuzzer; install libclang-rt-<version>-dev")
    build = ROOT / "build" / "fuzz"
    configure = ["cmake", "-S", str(ROOT / "cpp_ext"), "-B", str(build), "-G", "Ninja", "-DGILJABI_FUZZ=ON"]
    configure += [f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in ([*configure, f"-DPython_EXECUTABLE={sys.executable}"], ["cmake", "--build", str(build)]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build


@pytest.mark.parametrize("name", NAMES)
def test_no_promise_breaks(name: str, programs: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for i, data in enumerate(seeds(name, RECORDINGS if RECORDINGS.is_dir() else None)):
        (corpus / str(i)).write_bytes(data)
    runs = RUNS.get(name, 30_000)
    options = [f"-runs={runs}", "-seed=1", "-max_len=1500", "-timeout=20", "-print_final_stats=1"]
    command = [programs / f"fuzz_{name}", *options, f"-artifact_prefix={tmp_path}/", corpus]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"number_of_executed_units: {runs}" in done.stderr, "fewer inputs than asked for"
