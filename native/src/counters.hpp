#pragma once

#include <napi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace millrace {

enum class Syscall : size_t {
  kPwritev,
  kPread,
  kSendfile,
  kSend,
  kSendmsg,
  kFallocate,
  kFtruncate,
  kMmap,
  kMunmap,
  kMsync,
  kFdatasync,
  kFsync,
  kMadvise,
  kResidency,
  kCount,
};

/// Who counts: the thread of the event loop, or one of a pool.
enum class Side { kLoop, kPool };

/// System calls and bytes of one environment. The loop's own are plain integers, so that counting
/// costs an addition; only pool threads pay for atomics.
class Counters {
 public:
  void Count(Side side, Syscall kind, uint64_t bytes) {
    const size_t index = static_cast<size_t>(kind);
    if (side == Side::kLoop) {
      loop_[index].calls += 1;
      loop_[index].bytes += bytes;
    } else {
      pool_[index].calls.fetch_add(1, std::memory_order_relaxed);
      pool_[index].bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
  }

  /// For calls that return the bytes moved, or a negative number.
  void CountResult(Side side, Syscall kind, int64_t result) {
    Count(side, kind, result > 0 ? static_cast<uint64_t>(result) : 0);
  }

  // The rest is for the loop's thread alone; a pool's failures are counted when they get there.
  void Failed() { failures_ += 1; }
  void Copied(uint64_t bytes) { copiedBytes_ += bytes; }
  void WouldBlock() { wouldBlock_ += 1; }

  Napi::Object ToObject(Napi::Env env) const;

 private:
  static constexpr size_t kKinds = static_cast<size_t>(Syscall::kCount);

  struct Plain {
    uint64_t calls = 0;
    uint64_t bytes = 0;
  };
  struct Shared {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> bytes{0};
  };

  std::array<Plain, kKinds> loop_;
  std::array<Shared, kKinds> pool_;
  uint64_t failures_ = 0;
  uint64_t copiedBytes_ = 0;
  uint64_t wouldBlock_ = 0;
};

}  // namespace millrace
