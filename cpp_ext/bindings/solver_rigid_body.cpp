#include "giljabi/models/rigid_body.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::RigidBody<4>> model{"rigid_body"};
