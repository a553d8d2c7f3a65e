#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace {

/// Whether this processor has the instructions that Crc32c is made of.
bool HasCrc32c();

/// CRC-32C (Castagnoli; RFC 3720 appendix B.4 has test vectors) of the bytes, continuing `crc`; 0 starts one.
/// Only where HasCrc32c().
uint32_t Crc32c(uint32_t crc, const uint8_t* bytes, size_t length);

}  // namespace millrace
