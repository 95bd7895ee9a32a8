#include "giljabi/models/quadrotor.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::Quadrotor<true, false>> model{"quadrotor"};
