#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "counters.hpp"

namespace millrace {

/// Size of a page of memory in bytes.
uint64_t PageBytes();

/// Rounds down to the start of a page.
inline uint64_t PageStart(uint64_t position) { return position & ~(PageBytes() - 1); }

/// Owns one shared mapping of a file.
class MappedRegion {
 public:
  /// Failed when !mapped(); errno is then that of mmap(2).
  MappedRegion(Counters& counters, Side side, int fd, int protection, uint64_t position,
               size_t length);
  ~MappedRegion();

  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  bool mapped() const { return base_ != nullptr; }
  uint8_t* base() const { return base_; }
  size_t length() const { return length_; }

  /// The one place that stores into a mapping. False when a page of it could not be had; see
  /// CopyGuarded.
  bool Copy(size_t position, const iovec* chunks, size_t count, size_t bytes) const;

 private:
  Counters& counters_;
  const Side side_;
  uint8_t* base_ = nullptr;
  const size_t length_;
};

}  // namespace millrace
