"""Build: three import roots and one CMake-built extension.

The same tree serves `pip install .`, `pip install -e .`, `colcon build` and
`colcon build --symlink-install`; the last one runs from `build/giljabi` through symbolic links,
so every path starts at the resolved place of this file.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
NAME = "giljabi"
VERSION = "0.1.0"
CORE = "giljabi._core"
# Solver variants beside the baseline; GILJABI_VARIANTS="" builds none (for another machine, or to save time).
_BUILT = "avx2 avx512" if platform.machine() in ("x86_64", "AMD64") else ""
VARIANTS = os.environ.get("GILJABI_VARIANTS", _BUILT).split()


class CMakeExtension(Extension):
    """An extension whose sources are known to CMake only."""

    def __init__(self, name: str) -> None:
        super().__init__(name, sources=[])


class CMakeBuild(build_ext):
    """Configures and builds cpp_ext, and puts the module where setuptools expects it."""

    def run(self) -> None:
        """Remembers `inplace`: the base class clears it while it builds."""
        self.stays = bool(self.inplace or getattr(self, "editable_mode", False))
        super().run()

    def build_extension(self, ext: Extension) -> None:
        if not isinstance(ext, CMakeExtension):
            super().build_extension(ext)
            return
        if ext.name != CORE:
            return  # the core's build made it
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        for folder in (target.parent, *([ROOT / "src" / NAME] if self.stays else [])):
            for file in folder.glob(target.name.replace("_core", "_core_*")):
                if not any(f"_core_{v}." in file.name for v in VARIANTS):
                    file.unlink()  # of an earlier build; it must not be loaded beside this one
        build = self._build_dir()
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            "-S",
            str(ROOT / "cpp_ext"),
            "-B",
            str(build),
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            f"-DPython_EXECUTABLE={sys.executable}",
            "--log-level=WARNING",
            f"-DGILJABI_VERSION={VERSION}",
            f"-DGILJABI_OUTPUT_DIR={target.parent}",
            f"-DGILJABI_OUTPUT_NAME={target.name}",
            "-DGILJABI_PYTHON=ON",
            f"-DGILJABI_VARIANTS={';'.join(VARIANTS)}",
        ]
        if "CMAKE_GENERATOR" not in os.environ and _have("ninja"):
            configure += ["-G", "Ninja"]
        configure += os.environ.get("CMAKE_ARGS", "").split()
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--parallel", jobs], check=True)

    def _build_dir(self) -> Path:
        """One lasting folder per Python for in-place builds, so that only what changed is compiled again.

        In an isolated build pybind11 stands in a folder that is gone afterwards: nothing of it may be kept.
        """
        spec = find_spec("pybind11")
        lasting = spec is not None and str(spec.origin).startswith(sys.prefix)
        if lasting and self.stays:
            key = hashlib.sha256(f"{sys.prefix} {spec.origin}".encode()).hexdigest()[:8]
            return ROOT / "build" / f"core-{sys.implementation.cache_tag}-{key}"
        temp = Path(self.build_temp)
        return (temp if temp.is_absolute() else Path.cwd() / temp).resolve() / "core"


def _have(program: str) -> bool:
    from shutil import which

    return which(program) is not None


def _share(folder: str) -> list[tuple[str, list[str]]]:
    """(destination, files) for every directory below `folder`, relative paths as setuptools wants them."""
    out = []
    for directory, _, files in sorted(os.walk(ROOT / folder)):
        relative = Path(directory).relative_to(ROOT)
        paths = [str(relative / f) for f in sorted(files) if not f.endswith(".pyc")]
        if paths and "__pycache__" not in relative.parts:
            out.append((f"share/{NAME}/{relative}", paths))
    return out


OWN_MODEL = ("own_model", "solver_interface", "solver_model")  # headers that a user's model includes
# Nodes that can also be started alone; tests/launch/test_table.py compares them with the process table.
NODES = ("drivers", "estimator", "controller", "tracker", "mapper", "planner", "supervisor", "page", "conductor")
CONSOLE_SCRIPTS = [
    "giljabi = giljabi.cli:main",
    "giljabi-sim-peers = giljabi_sim.realtime:main",
    "giljabi-process = giljabi.ros.process:main",
    *(f"giljabi-{node} = giljabi.ros.process:main" for node in NODES),
]


def _executables() -> list[tuple[str, list[str]]]:
    """Console scripts where the other world looks for them.

    pip puts them into bin and ignores install_scripts of setup.cfg, so `ros2 launch`, which looks in lib/<package>,
    gets wrappers. colcon puts them into lib/<package>, so the shell gets one in bin.
    """
    if "bdist_wheel" not in sys.argv:
        return [("bin", [f"scripts/prefix/{NAME}"])] if "editable_wheel" not in sys.argv else []
    folder = ROOT / "build" / "wrappers"
    folder.mkdir(parents=True, exist_ok=True)
    names = [s.split("=")[0].strip() for s in CONSOLE_SCRIPTS]
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{name}" "$@"\n')
        (folder / name).chmod(0o755)
    return [(f"lib/{NAME}", [f"build/wrappers/{name}" for name in names])]


if not Path("resource").exists():  # called from elsewhere: relative paths below start at this file
    os.chdir(ROOT)

ROS = ["ros-rclpy[fastrtps]", "ros-common-interfaces", "ros-lifecycle-msgs"]
ROS_ON_PYPI = "platform_machine == 'x86_64' and sys_platform == 'linux' and python_version < '3.14'"
DRIVERS = [
    "pyserial>=3.5", "python-can[multicast]>=4.4", "cantools>=39.4", "pyais>=3.3",
    "pymavlink>=2.4.47",  # MAVLink's dialects (tables and message classes); frames are our own
    "fastcrc>=0.3",  # of pymavlink's own requirements
]  # fmt: skip

setup(
    name=NAME,
    version=VERSION,
    description="Autonomy middleware: one ROS 2 stack for cars, ships, drones and humanoids",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    package_dir={
        "giljabi": "src/giljabi",
        "giljabi_drivers": "hw_drivers/giljabi_drivers",
        "giljabi_sim": "sim/giljabi_sim",
    },
    packages=[
        "giljabi",
        *(
            f"giljabi.{p}"
            for p in (
                "estimation",
                "perception",
                "planning",
                "missions",
                "fleet",
                "control",
                "safety",
                "walking",
                "walking.behaviours",
                "ros",
                "operator",
            )
        ),
        "giljabi_drivers",
        "giljabi_sim",
        "giljabi_sim.humanoid",
        "giljabi_sim.peers",
    ],
    package_data={"giljabi": ["py.typed", "*.pyi", "_core/*.pyi", "operator/static/*"]},
    ext_modules=[CMakeExtension(CORE), *(CMakeExtension(f"{CORE}_{v}") for v in VARIANTS)],
    cmdclass={"build_ext": CMakeBuild},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/giljabi"]),
        (f"share/{NAME}", ["package.xml"]),
        *_share("launch"),
        *_share("cpp_ext/include/giljabi/models"),  # for `giljabi build-model`
        *_share("cpp_ext/include/giljabi/solver"),
        (f"share/{NAME}/cpp_ext/bindings", [f"cpp_ext/bindings/{h}.hpp" for h in OWN_MODEL]),
        *_share("config"),
        *_executables(),
    ],
    zip_safe=False,
    install_requires=[
        "numpy>=1.24",
        "scipy>=1.10",
        "pydantic>=2.6",
        "PyYAML>=6.0",
        "matplotlib>=3.6",
        "pynmea2>=1.18",  # the simulated devices encode by another library than the drivers decode with
        *DRIVERS,
    ],
    extras_require={
        "ros": [f"{r}; {ROS_ON_PYPI}" for r in ROS],
        "operator": ["starlette>=0.37", "uvicorn>=0.27"],
        "mf4": ["asammdf"],
        # kinematics of walkers, and their contact dynamics in simulation (Apache-2.0); films of them (BSD-3-Clause)
        "humanoid": ["mujoco>=3.2", "av>=12"],
        "policy": ["onnxruntime>=1.16"],  # learned policies in ONNX files; MIT
        # benchmarks/rotorpy_track.py: another simulator of multirotors; benchmarks/servo.py: other servo libraries
        "bench": ["rotorpy>=3.0", "dynamixel-sdk", "rustypot"],
        # The makers' own libraries, at the other end of the servo tests.
        "servo-peers": ["dynamixel-sdk", "feetech-servo-sdk"],
        "test": ["pytest", "hypothesis", "autosar-e2e>=1.0"],
        "dev": [
            "pytest>=7.4",
            "pytest-timeout",
            "pytest-xdist",  # the tests without timing on all cores
            "hypothesis",
            "autosar-e2e>=1.0",  # tests: the AUTOSAR E2E profiles by another implementation
            "nmea2000>=2026.10; python_version >= '3.11'",  # canboat's codec, at the other end of our NMEA 2000 driver
            "ruff",
            "mypy",
            "clang-format>=18",
            "pybind11-stubgen",
            "types-PyYAML",
            "pre-commit",
            "build",
            "cmake>=3.20,<4",
            "ninja",
            "pybind11>=2.13",
            "cmeel-eigen>=3.4",
            "playwright",
            "casadi",
            "mujoco>=3.2",
            "onnxruntime>=1.16",
            "onnx>=1.15",  # tests and examples write the models that onnxruntime reads; Apache-2.0
            "av>=12",  # films of walkers
            "piqp",
            "xmlschema",  # tests hold the JUnit report against a schema
        ],
    },
    entry_points={"console_scripts": CONSOLE_SCRIPTS},
)
