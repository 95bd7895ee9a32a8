"""A line of servos as a device peer: the bus of servo_bus.py behind the joints of a platform file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from giljabi.platform import Platform
from giljabi.yaml_file import Strict
from giljabi_sim.noise import generator
from giljabi_sim.peers.contract import Chunk, PeerResult, Wire
from giljabi_sim.peers.servo_bus import Family, ServoBus
from giljabi_sim.peers.servo_device import Servo
from giljabi_sim.scenario import Actor

if TYPE_CHECKING:
    from giljabi_sim.world import World


# ROBOTIS e-Manual, "Model Number" of each series; what is not here says that it is an XM430-W350.
MODEL_NUMBERS = {
    "xm430-w210": 1030, "xh430-v350": 1040, "xh430-v210": 1050, "xl430-w250": 1060, "xh540-w270": 1100,
    "xh540-w150": 1110, "xm540-w270": 1120, "xm540-w150": 1130,
}  # fmt: skip


class ServoOptions(Strict):
    """`options` of a servo peer."""

    baud: float = Field(default=1e6, gt=0)
    echo: bool = Field(default=False, description="the adapter gives the master's bytes back")
    turnaround_s: float = Field(default=20e-6, ge=0)
    stiffness: float = Field(default=900.0, gt=0, description="1/s^2, of the position loop")
    damping: float = Field(default=48.0, gt=0, description="1/s")
    velocity_max: float = Field(default=6.0, gt=0, description="rad/s, of the servo")
    acceleration_max: float = Field(default=200.0, gt=0, description="rad/s^2, what the current allows")
    noise_rad: float = Field(
        default=0.0, ge=0, description="white, of a joint that the world moves, before the encoder's step"
    )
    start: dict[str, float] = Field(default_factory=dict, description="rad, joint angles at the beginning")


class Mounted:
    """A servo in its joint: which way it turns and where its zero is, as the platform file describes the robot."""

    def __init__(self, servo: Servo, option: Mapping[str, Any]) -> None:
        self.servo = servo
        p = servo.places
        self._turn = float(option.get("sign", 1)) * float(option.get("gear", 1.0))
        zero = option.get("zero_deg")
        middle = math.degrees(p.middle * 2.0 * math.pi / p.counts)
        self._zero = math.radians((middle if zero is None else float(zero)) - middle)

    @property
    def angle(self) -> float:
        """Joint angle [rad]."""
        return (self.servo.motor.position - self._zero) / self._turn

    @property
    def goal(self) -> float:
        """Joint angle that the servo is driven to [rad]."""
        return (self.servo.goal - self._zero) / self._turn

    def place(self, angle: float, velocity: float | None = None) -> None:
        """Puts the joint somewhere [rad, rad/s]."""
        self.servo.motor.position = angle * self._turn + self._zero
        if velocity is not None:
            self.servo.motor.velocity = velocity * self._turn
        self.servo.show()


class ServoPeer:
    """All servos of one driver. A world whose vehicle reports a joint in its feedback moves it; else the servo does."""

    wire = Wire.SERIAL

    def __init__(self, platform: Platform, name: str, world: World, actors: Sequence[Actor], seed: int) -> None:
        """name: driver of the platform file; raises BadInputError at the options' line."""
        o = platform.options(ServoOptions, "simulation", "peers", name)
        device = platform.model.drivers[name]
        joints: Mapping[str, Any] = device.options.get("joints", {})
        first: Mapping[str, Any] = next(iter(joints.values()), {})
        model = str(device.options.get("model", first.get("model", "")))
        family: Family = "feetech_scs" if model.startswith("scs") else "feetech_sts"
        self.bus = ServoBus(
            family if device.kind == "feetech" else "dynamixel", [int(j["id"]) for j in joints.values()], o.baud, o.echo
        )
        self.bus.turnaround_s = o.turnaround_s
        self.joints = {n: Mounted(self.bus.servos[int(j["id"])], j) for n, j in joints.items()}
        for n, joint in self.joints.items():
            number = MODEL_NUMBERS.get(str(joints[n].get("model", model)).lower())
            if number is not None and device.kind == "dynamixel":
                joint.servo.put(0, 2, number)
            m = joint.servo.motor
            m.stiffness, m.damping = o.stiffness, o.damping
            m.velocity_max, m.acceleration_max = o.velocity_max, o.acceleration_max
            joint.place(o.start.get(n, 0.0))
        self._noise = o.noise_rad
        self._rng = generator(seed, f"{name}.servos")
        self.accepted = 0
        self.rejected: dict[str, int] = {}

    def step(self, now: float, received: Sequence[Chunk], world: World | None) -> PeerResult:
        """Packets in, replies that are due out."""
        feedback: Mapping[str, float] = world.own.feedback if world is not None else {}
        if received or not feedback:
            self._place(feedback)
        self.bus.move(now)
        for chunk in received:
            self.bus.receive(now, chunk.data)
        bus = self.bus
        self.accepted = bus.accepted
        self.rejected = dict(bus.rejected) | ({"collision": bus.collisions} if bus.collisions else {})
        if world is not None:
            for n, joint in self.joints.items():
                if joint.servo.torque:
                    world.vehicle.commands[n] = joint.goal
                elif n in feedback:
                    world.vehicle.commands[n] = math.nan
        return PeerResult([Chunk(d) for d in self.bus.take(now)], self.bus.next_due)

    def _place(self, feedback: Mapping[str, float]) -> None:
        """Joints that the world moves are where it says, as their encoders see it."""
        noise = self._noise * self._rng.standard_normal(len(self.joints)) if self._noise > 0.0 else None
        for i, (n, joint) in enumerate(self.joints.items()):
            joint.servo.motor.external = n in feedback
            if n in feedback:
                joint.place(feedback[n] + (float(noise[i]) if noise is not None else 0.0), feedback.get(f"{n}_rate"))
