#include "giljabi/models/vessel_rudder.hpp"
#include "solver_model.hpp"

static const giljabi::bindings::AddModel<giljabi::models::VesselRudder<4, true>> model{"vessel_rudder"};
