"""How to get there: odometry and a trajectory in, named actuator commands out."""
