"""Where the vehicle is: samples in, odometry out."""
