#include "directory_probe.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "mapped_region.hpp"

namespace millrace {

namespace {

constexpr size_t kScratchBytes = 64 * 1024;

void Explain(DirectoryProbe& probe, const char* what, const char* reason) {
  if (!probe.detail.empty()) probe.detail += "; ";
  probe.detail += std::string(what) + ": " + reason;
}

bool OutOfSpace(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

/// Blocks for the whole file, one way or the other, so that touching a mapping is safe.
bool Fill(DirectoryProbe& probe, const Descriptor& file, Failure* failure) {
  if (::fallocate(file.fd(), 0, 0, kScratchBytes) == 0) {
    probe.fallocate = true;
  } else if (OutOfSpace(errno)) {
    *failure = {errno, "fallocate", file.path()};
    return false;
  } else {
    Explain(probe, "fallocate", std::strerror(errno));
  }
  const std::vector<uint8_t> bytes(kScratchBytes, 1);
  const ssize_t written = ::pwrite(file.fd(), bytes.data(), bytes.size(), 0);
  if (written == static_cast<ssize_t>(bytes.size())) return true;
  *failure = {written < 0 ? errno : ENOSPC, "pwrite", file.path()};
  return false;
}

void ProbeMapping(DirectoryProbe& probe, Environment& environment, const Descriptor& file) {
  const MappedRegion region(environment.counters, Side::kLoop, file.fd(), PROT_READ | PROT_WRITE,
                            0, kScratchBytes);
  if (!region.mapped()) return Explain(probe, "mmap", std::strerror(errno));
  uint8_t two = 2;
  const iovec last{&two, 1};
  if (!region.Copy(kScratchBytes - 1, &last, 1, 1)) {
    return Explain(probe, "mmap", "a page of a mapping could not be had");
  }
  if (::msync(region.base(), kScratchBytes, MS_SYNC) != 0) {
    return Explain(probe, "msync", std::strerror(errno));
  }
  uint8_t seen = 0;
  if (::pread(file.fd(), &seen, 1, kScratchBytes - 1) != 1 || seen != 2) {
    return Explain(probe, "mmap", "reads do not see what a mapping stored");
  }
  probe.mmap = true;
}

void ProbeSendfile(DirectoryProbe& probe, const Descriptor& file) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return Explain(probe, "socketpair", std::strerror(errno));
  }
  const Descriptor left(ends[0], "");
  const Descriptor right(ends[1], "");
  off_t offset = 0;
  probe.sendfile = ::sendfile(left.fd(), file.fd(), &offset, 1) == 1;
  if (!probe.sendfile) Explain(probe, "sendfile", std::strerror(errno));
}

}  // namespace

DirectoryProbe DirectoryProbe::Run(Environment& environment, const std::string& directory,
                                   Failure* failure) {
  DirectoryProbe probe;
  std::string path = directory + "/.millrace-probe-XXXXXX";
  Descriptor file(::mkostemp(path.data(), O_CLOEXEC), path);
  if (file.fd() < 0) {
    *failure = {errno, "mkostemp", directory};
    return probe;
  }
  // At once: whatever follows, even a killed process, leaves nothing behind.
  ::unlink(path.c_str());
  if (!Fill(probe, file, failure)) return probe;
  ProbeMapping(probe, environment, file);
  ProbeSendfile(probe, file);
  probe.residency = FindResidencyMethod(environment, file);
  if (probe.residency == ResidencyMethod::kNone) {
    Explain(probe, "residency", "neither cachestat nor RWF_NOWAIT works");
  }
  return probe;
}

}  // namespace millrace
