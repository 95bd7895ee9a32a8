#include "giljabi/models/lipm.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::Lipm<0>> model{"lipm_box"};
