"""A film of a walker: MuJoCo renders off screen, FFmpeg's libraries (PyAV) encode."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from giljabi.types import BadInputError

if TYPE_CHECKING:
    from giljabi.stack import Stack
    from giljabi_sim.peers.contract import Chunk
    from giljabi_sim.simulation import Simulation

RATE_HZ = 25
WIDTH, HEIGHT = 960, 540
BACKENDS = ("egl", "osmesa")
PROBE = "import mujoco; mujoco.GLContext(16, 16).make_current()"
PROBE_S = 60.0


def choose_backend() -> str:
    """Sets MUJOCO_GL to what renders without a screen here, unless somebody has; call it before MuJoCo is imported.

    Raises BadInputError that says what each backend says.
    """
    given = os.environ.get("MUJOCO_GL")
    said = []
    for backend in (given,) if given else BACKENDS:
        env = {**os.environ, "MUJOCO_GL": backend}
        probe = [sys.executable, "-c", PROBE]
        done = subprocess.run(probe, env=env, capture_output=True, text=True, timeout=PROBE_S, check=False)
        if done.returncode == 0:
            os.environ["MUJOCO_GL"] = backend
            return backend
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        said.append(f"{backend}: {last[:120]}")
    raise BadInputError(
        f"--video: nothing renders without a screen here ({'; '.join(said)});"
        " apt-get install libegl1 libgl1-mesa-dri, or libosmesa6, is expected"
    )


def check_video(target: str) -> Path:
    """The film's path, with all that it takes; raises BadInputError before anything has run."""
    path = Path(target)
    if path.suffix.lower() not in (".mp4", ".mkv"):
        raise BadInputError(f"--video {target}: not a film's name; one that ends in .mp4 or .mkv is expected")
    if not path.parent.is_dir():
        raise BadInputError(f"--video {target}: no folder '{path.parent}'; one that is there is expected")
    try:
        import av  # noqa: F401
        import mujoco  # noqa: F401
    except ImportError as e:
        raise BadInputError(f"--video: {e}; pip install 'giljabi[humanoid]' is expected") from None
    return path


class VideoRecorder:
    """`lockstep.Recorder`: a frame every 1/25 s; the camera goes along with the robot."""

    def __init__(self, path: Path, simulation: Simulation) -> None:
        """Raises BadInputError when it is no walker, or the file cannot be written."""
        import av
        import mujoco

        from giljabi_sim.humanoid.vehicle import WalkerVehicle

        vehicle = simulation.world.vehicle
        if not isinstance(vehicle, WalkerVehicle):
            raise BadInputError("--video: only walkers are rendered; a scenario of one is expected")
        self.frames = 0
        self._model = vehicle.look()
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = WIDTH, HEIGHT
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, HEIGHT, WIDTH)
        self._camera = mujoco.MjvCamera()
        self._camera.azimuth, self._camera.elevation = 120.0, -14.0
        self._camera.distance = 6.0 * vehicle.height
        self._target = [0.0, 0.0, vehicle.height]
        self._forward = mujoco.mj_forward
        try:
            self._file = cast(Any, av.open(str(path), "w"))
        except (OSError, ValueError) as e:
            raise BadInputError(f"--video {path}: cannot be written ({e}); a file name is expected") from None
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._stream: Any = self._file.add_stream(codec, rate=Fraction(RATE_HZ))
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        self._frame = av.VideoFrame

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """Bytes cannot be seen."""

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        """Takes a picture when one is due."""
        if now < self.frames / RATE_HZ - 1e-9:
            return
        self.frames += 1
        vehicle: Any = simulation.world.vehicle
        self._data.qpos[:] = vehicle.data.qpos
        self._forward(self._model, self._data)
        own = simulation.world.own
        for i, value in enumerate((own.x, own.y)):
            self._target[i] += 0.15 * (value - self._target[i])  # the sway of each step stays in the picture
        self._camera.lookat[:] = self._target
        self._renderer.update_scene(self._data, self._camera)
        picture = self._frame.from_ndarray(self._renderer.render(), format="rgb24")
        for packet in self._stream.encode(picture):
            self._file.mux(packet)

    def close(self) -> None:
        """Ends the film."""
        for packet in self._stream.encode():
            self._file.mux(packet)
        self._file.close()
        self._renderer.close()
