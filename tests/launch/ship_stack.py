"""For launch_testing: the simulated ship arms and gets under way, and every process ends well."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import launch_testing
import launch_testing.actions
import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SHIP = Path(__file__).resolve().parents[2] / "launch" / "ship.launch.py"


def generate_test_description() -> LaunchDescription:
    """The launch file as users run it, without the page."""
    ship = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHIP)), launch_arguments={"page": "false", "start": "true"}.items()
    )
    return LaunchDescription([ship, launch_testing.actions.ReadyToTest()])


class TestRunning(unittest.TestCase):
    """While it runs."""

    def test_arms_and_gets_under_way(self, proc_output: Any) -> None:
        proc_output.assertWaitFor('"armed"', timeout=90, stream="stdout")
        proc_output.assertWaitFor("under way", timeout=60, stream="stdout")


@launch_testing.post_shutdown_test()
class TestEnded(unittest.TestCase):
    """After it was ended."""

    def test_exit_codes(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
