#include "mapped_region.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "fault_guard.hpp"

namespace millrace {

uint64_t PageBytes() {
  static const uint64_t bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

MappedRegion::MappedRegion(Counters& counters, Side side, int fd, int protection,
                           uint64_t position, size_t length)
    : counters_(counters), side_(side), length_(length) {
  void* address =
      ::mmap(nullptr, length, protection, MAP_SHARED, fd, static_cast<off_t>(position));
  counters_.Count(side_, Syscall::kMmap, address == MAP_FAILED ? 0 : length);
  if (address != MAP_FAILED) base_ = static_cast<uint8_t*>(address);
}

MappedRegion::~MappedRegion() {
  if (base_ == nullptr) return;
  ::munmap(base_, length_);
  counters_.Count(side_, Syscall::kMunmap, length_);
}

bool MappedRegion::Copy(size_t position, const iovec* chunks, size_t count, size_t bytes) const {
  return CopyGuarded(base_ + position, chunks, count, bytes);
}

}  // namespace millrace
