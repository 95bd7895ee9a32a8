"""The picture of a robot with joints: its links stand where MuJoCo's kinematics put them, it moves, and old is grey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="shapes of walkers: pip install 'giljabi[humanoid]'")

from giljabi.operator.demo import Demo
from giljabi.types import JointState
from giljabi.walking.shape import shape_of
from giljabi.walking.walker_file import load_walker

pytestmark = pytest.mark.browser

PLACES = """async ([bodies, base, angles]) => {
  const body = await import(new URL('static/body.js', document.baseURI).href);
  return body.kinematics(bodies, base, angles).map((t) => [...t.p, ...t.R.flat()]);
}"""
# Pixels of the canvas that are lit as the shell of the robot is, and as one whose posture is old.
COUNT = """() => {
  const c = document.getElementById('body'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let bright = 0, sum = 0;
  for (let i = 0; i < d.length; i += 4) {
    if (Math.max(d[i], d[i + 1], d[i + 2]) > 90) { bright++; sum += (i % 9973) * d[i + 2]; }
  }
  return [bright, sum];
}"""


@pytest.fixture
def demo() -> Iterator[Demo]:
    with Demo("humanoid", port=0) as d:
        yield d


def eventually(check: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["small", "large"])
def test_links_stand_where_mujocos_kinematics_put_them(tab: Any, demo: Demo, name: str) -> None:
    import mujoco

    tab.page.goto(demo.server.url)
    file = load_walker(name)
    model = mujoco.MjModel.from_xml_path(str(file.model_path))
    data = mujoco.MjData(model)
    rng = np.random.default_rng(3)
    angles = {joint: float(rng.uniform(-1.0, 1.0)) for joint in file.walker.joints}
    quaternion = rng.standard_normal(4)
    quaternion /= np.linalg.norm(quaternion)
    data.qpos[:3], data.qpos[3:7] = [1.0, -2.0, 0.3], quaternion
    for joint, angle in angles.items():
        data.qpos[model.joint(joint).qposadr[0]] = angle
    mujoco.mj_kinematics(model, data)
    bodies = shape_of(file)
    base = {"position": [1.0, -2.0, 0.3], "quaternion": quaternion.tolist()}
    places = np.array(tab.page.evaluate(PLACES, [bodies, base, angles]))
    for body, place in zip(bodies, places, strict=True):
        b = model.body(body["name"]).id
        assert place[:3] == pytest.approx(data.xpos[b], abs=1e-4), body["name"]
        assert place[3:] == pytest.approx(data.xmat[b], abs=1e-4), body["name"]
    assert sum(len(b["geoms"]) for b in bodies) > 10


def test_the_robot_is_drawn_moves_and_turns_with_the_mouse(tab: Any, demo: Demo) -> None:
    tab.page.goto(demo.server.url)
    eventually(lambda: tab.page.evaluate(COUNT)[0] > 3000, "a robot is drawn")
    first = tab.page.evaluate(COUNT)[1]
    eventually(lambda: tab.page.evaluate(COUNT)[1] != first, "it moves")
    # Old joint angles: still shown, but said to be old.
    demo.scene.silent.add(JointState)
    time.sleep(1.5)
    before = tab.page.evaluate(COUNT)
    assert before[0] > 3000
    tab.page.mouse.move(300, 500)
    tab.page.mouse.down()
    tab.page.mouse.move(520, 500, steps=4)
    tab.page.mouse.up()
    time.sleep(0.4)
    assert tab.page.evaluate(COUNT)[1] != before[1]
    assert tab.errors == []
    assert tab.hosts() == {"127.0.0.1"}


def test_a_vehicle_without_joints_has_the_whole_map(tab: Any) -> None:
    with Demo("ship", port=0) as ship:
        tab.page.goto(ship.server.url)
        eventually(lambda: tab.page.inner_text("#speed") != "–", "a speed is shown")
        assert not tab.page.is_visible("#body")
