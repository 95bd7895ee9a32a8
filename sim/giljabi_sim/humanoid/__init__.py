"""Simulated walkers: contact dynamics by MuJoCo, servos, inertial sensor."""
