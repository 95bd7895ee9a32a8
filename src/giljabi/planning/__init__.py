"""Where to go: odometry, tracks and a route in, a timed trajectory out."""
