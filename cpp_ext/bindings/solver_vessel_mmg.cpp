#include "giljabi/models/vessel_mmg.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::VesselMmg<4, true>> model{"vessel_mmg"};
