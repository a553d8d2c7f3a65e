#include "crc32c.hpp"

#ifdef __x86_64__
#include <immintrin.h>
#else
#include <cstdlib>
#endif

#include <cstring>

namespace millrace {

#ifdef __x86_64__

namespace {

/// The polynomial, its bits reflected as in the instruction.
constexpr uint32_t kPolynomial = 0x82F63B78u;

/// x^exponent modulo the polynomial, reflected.
constexpr uint32_t PowerOfX(uint64_t exponent) {
  uint32_t power = 0x80000000u;
  for (uint64_t i = 0; i < exponent; ++i) power = (power >> 1) ^ ((power & 1) ? kPolynomial : 0);
  return power;
}

/// What moves a sum on by so many zero bytes: the product of two reflected sums, taken through the instruction,
/// gains x^33.
constexpr uint32_t ShiftBy(uint64_t bytes) { return PowerOfX(8 * bytes - 33); }

__attribute__((target("sse4.2"))) inline uint64_t Add(uint64_t sum, const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return _mm_crc32_u64(sum, word);
}

/// The instruction takes three cycles and one can begin in each: so three stretches are summed side by side, and
/// the sums of the first two are moved on by what follows them. Takes what it can off the front.
template <size_t kStretchBytes>
__attribute__((target("sse4.2,pclmul"))) inline uint64_t AddThreefold(uint64_t sum, const uint8_t*& bytes,
                                                                      size_t& length) {
  constexpr uint64_t kOneOn = ShiftBy(kStretchBytes);
  constexpr uint64_t kTwoOn = ShiftBy(2 * kStretchBytes);
  const __m128i shifts = _mm_set_epi64x(kOneOn, kTwoOn);
  while (length >= 3 * kStretchBytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < kStretchBytes; i += sizeof(uint64_t)) {
      sum = Add(sum, bytes + i);
      second = Add(second, bytes + kStretchBytes + i);
      third = Add(third, bytes + 2 * kStretchBytes + i);
    }
    const __m128i movedFirst = _mm_clmulepi64_si128(_mm_cvtsi64_si128(sum), shifts, 0x00);
    const __m128i movedSecond = _mm_clmulepi64_si128(_mm_cvtsi64_si128(second), shifts, 0x10);
    const __m128i moved = _mm_xor_si128(movedFirst, movedSecond);
    sum = _mm_crc32_u64(0, _mm_cvtsi128_si64(moved)) ^ third;
    bytes += 3 * kStretchBytes;
    length -= 3 * kStretchBytes;
  }
  return sum;
}

/// Long enough that joining costs nothing beside summing; and for what is shorter than three of those.
constexpr size_t kLongStretchBytes = 2048;
constexpr size_t kShortStretchBytes = 128;

}  // namespace

bool HasCrc32c() {
  return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
}

__attribute__((target("sse4.2,pclmul"))) uint32_t Crc32c(uint32_t crc, const uint8_t* bytes,
                                                         size_t length) {
  uint64_t sum = ~crc;
  sum = AddThreefold<kLongStretchBytes>(sum, bytes, length);
  sum = AddThreefold<kShortStretchBytes>(sum, bytes, length);
  for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
    sum = Add(sum, bytes);
  }
  auto last = static_cast<uint32_t>(sum);
  for (; length > 0; --length, ++bytes) last = _mm_crc32_u8(last, *bytes);
  return ~last;
}

#else

bool HasCrc32c() { return false; }

uint32_t Crc32c(uint32_t, const uint8_t*, size_t) { std::abort(); }

#endif

}  // namespace millrace
