"""A film of a walker: MuJoCo renders off screen, FFmpeg's libraries (PyAV) encode."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from giljabi.types import Array, BadInputError, GiljabiError

if TYPE_CHECKING:
    from giljabi.stack import Stack
    from giljabi_sim.humanoid.vehicle import WalkerVehicle
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


class Film:
    """A file of pictures of a walker, 25 a second; the camera goes along with it."""

    def __init__(self, path: Path, vehicle: WalkerVehicle) -> None:
        """Raises BadInputError when the file cannot be written."""
        import av
        import mujoco

        self.pictures = 0
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

    def add(self, x: float, y: float, qpos: Array) -> None:
        """One picture. x, y [m, map]: where it is; qpos: joint positions as MuJoCo has them."""
        self.pictures += 1
        self._data.qpos[:] = qpos
        self._forward(self._model, self._data)
        for i, value in enumerate((x, y)):
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


class VideoRecorder:
    """`lockstep.Recorder`: a picture every 1/25 s."""

    def __init__(self, path: Path, simulation: Simulation) -> None:
        """Raises BadInputError when it is no walker, or the file cannot be written."""
        from giljabi_sim.humanoid.poses import walker_of

        self._vehicle = walker_of(simulation)
        self._film = Film(path, self._vehicle)

    def wire(self, now: float, device: str, outward: bool, chunk: Chunk) -> None:
        """Bytes cannot be seen."""

    def tick(self, now: float, simulation: Simulation, stack: Stack) -> None:
        """Takes a picture when one is due."""
        if now >= self._film.pictures / RATE_HZ - 1e-9:
            own = simulation.world.own
            self._film.add(own.x, own.y, self._vehicle.data.qpos)

    def close(self) -> None:
        """Ends the film."""
        self._film.close()


def film_poses(poses: Path, path: Path, simulation: Simulation) -> int:
    """Films what a `PoseLog` wrote, in simulated time; returns the number of pictures. An interrupt ends it early."""
    from giljabi_sim.humanoid.poses import read_poses, walker_of

    vehicle = walker_of(simulation)
    rows = read_poses(poses, len(vehicle.data.qpos))
    if not len(rows):
        return 0
    film = Film(path, vehicle)
    try:
        times = np.arange(rows[0, 0], rows[-1, 0] + 0.5 / RATE_HZ, 1.0 / RATE_HZ)
        for row in rows[np.searchsorted(rows[:, 0], times + 1e-9, side="right") - 1]:
            film.add(row[1], row[2], row[3:])
    finally:
        film.close()
    return film.pictures


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m giljabi_sim.humanoid.video POSES FILM SCENARIO PLATFORM`: for `giljabi run --video`."""
    from giljabi_sim.scenario import load_scenario
    from giljabi_sim.simulation import Simulation

    poses, film, scenario, platform = sys.argv[1:] if argv is None else argv
    try:
        pictures = film_poses(Path(poses), Path(film), Simulation(load_scenario(scenario, platform=platform)))
    except KeyboardInterrupt:
        return 130
    except GiljabiError as e:
        print(e, file=sys.stderr)
        return 2
    print(f"film: {film}, {pictures} pictures" if pictures else "no film: nothing was simulated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
