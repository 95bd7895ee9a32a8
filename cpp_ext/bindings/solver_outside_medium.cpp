#include "solver_outside.hpp"

static const giljabi::bindings::AddOutside<8, 4, 4> model{"_outside_medium"};
