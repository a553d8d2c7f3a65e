#include "residency.hpp"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mapped_region.hpp"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

namespace millrace {

namespace {

// cachestat(2), Linux 6.5: number and structures of our own, for older headers. The number is the
// same on every architecture but alpha.
constexpr long kCachestatNumber = 451;

/// cachestat(2) counts pages that are still being read ahead, and whoever wants one of those waits for it. They
/// come in stretches at least as long.
constexpr uint64_t kUnderWayBytes = 64 * 1024;

struct CachestatRange {
  uint64_t offset;
  uint64_t length;
};

struct Cachestat {
  uint64_t cached;
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recentlyEvicted;
};

Residency ByCachestat(Environment& environment, const Descriptor& file, uint64_t position,
                      uint64_t length) {
  CachestatRange range{position, length};
  Cachestat result{};
  const long status = ::syscall(kCachestatNumber, file.fd(), &range, &result, 0);
  const int error = errno;
  environment.counters.Count(Side::kLoop, Syscall::kResidency, length);
  if (status != 0) {
    // EPERM: a seccomp filter that does not know the call, or a file of somebody else's.
    if (error == ENOSYS || error == EPERM) environment.refused.cachestat = true;
    return Residency::kUnknown;
  }
  const uint64_t last = PageStart(position + length - 1);
  const uint64_t pages = (last - PageStart(position)) / PageBytes() + 1;
  return result.cached >= pages ? Residency::kResident : Residency::kCold;
}

/// Reads a byte of every `step`, a power of two, and the last one. Unknown where RWF_NOWAIT is refused.
Residency ByNowait(Environment& environment, Descriptor& file, uint64_t position, uint64_t length,
                   uint64_t step) {
  if (environment.refused.nowait || file.nowaitRefused) return Residency::kUnknown;
  const uint64_t last = position + length - 1;
  for (uint64_t next = position; next <= last;) {
    const uint64_t at = next;
    next = at == last ? last + 1 : std::min((at & ~(step - 1)) + step, last);
    char byte;
    const iovec target{&byte, 1};
    const ssize_t got = ::preadv2(file.fd(), &target, 1, static_cast<off_t>(at), RWF_NOWAIT);
    const int error = errno;
    environment.counters.Count(Side::kLoop, Syscall::kResidency, 1);
    if (got >= 0) continue;
    if (error == EAGAIN) return Residency::kCold;
    if (error == ENOSYS || error == EPERM) environment.refused.nowait = true;
    file.nowaitRefused = true;
    return Residency::kUnknown;
  }
  return Residency::kResident;
}

}  // namespace

Residency ProbeResidency(Environment& environment, Descriptor& file, uint64_t position,
                         uint64_t length) {
  if (!environment.refused.cachestat) {
    const Residency found = ByCachestat(environment, file, position, length);
    if (found == Residency::kCold) file.wasCold = true;
    const bool mayBeUnderWay = found == Residency::kResident && file.wasCold;
    if (mayBeUnderWay &&
        ByNowait(environment, file, position, length, kUnderWayBytes) == Residency::kCold) {
      return Residency::kCold;
    }
    if (found != Residency::kUnknown) return found;
  }
  return ByNowait(environment, file, position, length, PageBytes());
}

ResidencyMethod FindResidencyMethod(Environment& environment, Descriptor& file) {
  if (!environment.refused.cachestat &&
      ByCachestat(environment, file, 0, 1) != Residency::kUnknown) {
    return ResidencyMethod::kCachestat;
  }
  if (ByNowait(environment, file, 0, 1, PageBytes()) != Residency::kUnknown) {
    return ResidencyMethod::kNowait;
  }
  return ResidencyMethod::kNone;
}

}  // namespace millrace
