#include "giljabi/models/bicycle.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::Bicycle<4, true>> model{"bicycle"};
