"""Walking: footsteps, pendulum plan, whole-body control and base estimation of robots on two legs."""
