#include "giljabi/models/lipm.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::Lipm<8>> model{"lipm"};
