#pragma once

#include <napi.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// A number that is a safe integer of at least `minimum`. Two of them added cannot overflow.
int64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name,
                        int64_t minimum = 0);
bool BooleanArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
/// A path: not empty, no zero byte (the kernel would see a shorter one).
std::string PathArgument(const Napi::CallbackInfo& info, size_t index, const char* name);
/// The memory of a Uint8Array; valid until JavaScript runs again.
iovec BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

/// Throws a RangeError unless position + length <= bound.
void CheckRange(Napi::Env env, int64_t position, int64_t length, uint64_t bound,
                const char* what);

/// The chunks of an array of Uint8Array, empty ones left out, all of them checked before any is
/// used. Few chunks cost no allocation. Valid until JavaScript runs again.
class ChunksArgument {
 public:
  ChunksArgument(const Napi::CallbackInfo& info, size_t index, const char* name);

  ChunksArgument(const ChunksArgument&) = delete;
  ChunksArgument& operator=(const ChunksArgument&) = delete;

  iovec* data() { return data_; }
  size_t count() const { return count_; }
  uint64_t bytes() const { return bytes_; }

  /// Drops that many bytes (at most all) from the front.
  void Advance(uint64_t bytes);

 private:
  static constexpr size_t kInline = 32;

  void Add(const iovec& chunk);

  iovec inline_[kInline];  // left uninitialised on purpose: only the first count_ are ever read
  std::vector<iovec> overflow_;
  iovec* data_ = inline_;
  size_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace millrace
