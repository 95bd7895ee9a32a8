#include "solver_outside.hpp"

static const giljabi::bindings::AddOutside<8, 4, 4, 8> model{"_outside_mixed"};
