"""giljabi: autonomy middleware, one stack for cars, ships, drones and humanoids."""

__version__ = "0.1.0"
