"""What can be said of the launch files without ROS 2's launch package; test_launch.py runs them where it is."""

from __future__ import annotations

from pathlib import Path

from giljabi.nodes import PROCESSES


def test_every_platform_has_a_launch_file(root: Path) -> None:
    platforms = {p.stem for p in (root / "config" / "platforms").glob("*.yaml")}
    assert platforms == {p.name.removesuffix(".launch.py") for p in (root / "launch").glob("*.launch.py")}


def test_launch_files_are_python_and_name_no_node(root: Path) -> None:
    for path in (root / "launch").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        compile(text, str(path), "exec")
        for process in PROCESSES:
            for node in process.nodes:
                assert node.target not in text, f"{path.name} lists {node.name} by hand"
