#include "giljabi/models/bicycle_dynamic.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::BicycleDynamic<4, true>> model{"bicycle_dynamic"};
