#pragma once

#include <cstdint>

#include "descriptor.hpp"
#include "environment.hpp"

namespace millrace {

enum class Residency { kResident, kCold, kUnknown };
enum class ResidencyMethod { kCachestat, kNowait, kNone };

/// Whether all pages of the range are in the page cache. The range lies within the file.
Residency ProbeResidency(Environment& environment, Descriptor& file, uint64_t position,
                         uint64_t length);

/// The method that works for this file, which holds at least one byte.
ResidencyMethod FindResidencyMethod(Environment& environment, Descriptor& file);

}  // namespace millrace
