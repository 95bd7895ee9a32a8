"""What must never happen: guard configuration, health and arming."""
