"""Plants, sensors, device peers that speak the real bytes, scenarios and the lock-step loop."""
