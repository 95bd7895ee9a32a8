// CAN as the wire encoder sees it: bits, checksums, framings.
#pragma once

#include "giljabi/codecs/can_bits.hpp"
#include "giljabi/codecs/can_checks.hpp"
#include "giljabi/codecs/can_framing.hpp"
