#include "giljabi/models/vessel.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::Vessel<3, false>> model{"vessel"};
