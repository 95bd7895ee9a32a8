// Counts heap allocations of the calling thread, to show that a hot path makes none.
#pragma once

#include <cstddef>

namespace giljabi::tests {

// Allocations through operator new by this thread since it began.
std::size_t allocations() noexcept;

}  // namespace giljabi::tests
