#include "file_jobs.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace millrace {

namespace {

// Linux 5.14; older headers lack them.
constexpr int kPopulateRead = 22;
constexpr int kPopulateWrite = 23;

// madvise(2) holds the memory map's lock while it populates; mmap and munmap of the main thread
// wait for it. It also is how often a job looks whether it is cancelled.
constexpr uint64_t kPopulateStepBytes = 1024 * 1024;
/// Below this a sync has too few pages for letting them go to be worth a call.
constexpr uint64_t kReleaseFromBytes = 64 * 1024;

constexpr uint64_t kReadStepBytes = 128 * 1024;

double ThreadCpuMicroseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

}  // namespace

void SyncFileJob::Run(const std::atomic<bool>&) {
  const int result = ::fdatasync(file_->fd());
  const int error = errno;
  environment_.counters.Count(Side::kPool, Syscall::kFdatasync, 0);
  if (result != 0) Fail(error, "fdatasync", file_->path());
}

void SyncDirectoryJob::Run(const std::atomic<bool>&) {
  const Descriptor directory(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), path_);
  if (directory.fd() < 0) {
    Fail(errno, "open", path_);
    return;
  }
  const int result = ::fsync(directory.fd());
  const int error = errno;
  environment_.counters.Count(Side::kPool, Syscall::kFsync, 0);
  if (result != 0) Fail(error, "fsync", path_);
}

// Writeback write-protects every page that is mapped, and interrupts the other processors for each of
// them. A log is only appended to, so the pages that are full are let go first, with one interrupt
// for all: MADV_DONTNEED of a shared mapping drops page table entries and keeps what they point to.
void SyncRegionJob::ReleaseFullPages(uint64_t start, uint64_t end) {
  if (end < start + kReleaseFromBytes) return;
  ::madvise(range_.region->base() + start, end - start, MADV_DONTNEED);
  environment_.counters.Count(Side::kPool, Syscall::kMadvise, end - start);
}

void SyncRegionJob::Run(const std::atomic<bool>&) {
  const uint64_t start = PageStart(range_.position);
  const uint64_t bytes = range_.position + range_.length - start;
  ReleaseFullPages(start, PageStart(range_.position + range_.length));
  const int result = ::msync(range_.region->base() + start, bytes, MS_SYNC);
  const int error = errno;
  environment_.counters.Count(Side::kPool, Syscall::kMsync, bytes);
  if (result != 0) Fail(error, "msync", range_.path);
}

uint64_t PopulateJob::End() const {
  const uint64_t end = range_.position + range_.length;
  if (!range_.file) return end;
  const int64_t size = range_.file->Size();
  return size < 0 ? end : std::min(end, static_cast<uint64_t>(size));
}

void PopulateJob::Run(const std::atomic<bool>& cancelled) {
  const double before = ThreadCpuMicroseconds();
  Populate(cancelled);
  cpuMicroseconds_ = environment_.refused.populateWrite ? std::nan("") : ThreadCpuMicroseconds() - before;
}

napi_value PopulateJob::Result(napi_env env) const {
  napi_value result = nullptr;
  napi_create_double(env, cpuMicroseconds_, &result);
  return result;
}

void PopulateJob::Populate(const std::atomic<bool>& cancelled) {
  uint64_t start = PageStart(range_.position);
  for (uint64_t end = End(); start < end && !cancelled; start += kPopulateStepBytes) {
    if (environment_.refused.populateWrite) return;
    const uint64_t bytes = std::min(kPopulateStepBytes, end - start);
    const int result = ::madvise(range_.region->base() + start, bytes, kPopulateWrite);
    const int error = errno;
    environment_.counters.Count(Side::kPool, Syscall::kMadvise, result == 0 ? bytes : 0);
    if (result == 0) continue;
    if (error == EINVAL) {
      environment_.refused.populateWrite = true;
      return;
    }
    // EFAULT is what touching the page would make a SIGBUS. That is no failure beyond the end of
    // the file: it may have been cut meanwhile, or is closed, so that its size was not known.
    if (error == EFAULT && (!range_.file || End() < start + bytes)) return;
    Fail(error, "madvise", range_.path);
    return;
  }
}

void WarmJob::Run(const std::atomic<bool>& cancelled) {
  const int64_t size = file_->Size();
  if (size < 0) {
    Fail(errno, "fstat", file_->path());
    return;
  }
  const uint64_t end = std::min(position_ + length_, static_cast<uint64_t>(size));
  if (position_ >= end) return;
  // Reading is the fallback for all failures of the other way: it tells a broken disk (EIO) apart.
  if (!PopulateRead(end, cancelled)) ReadThrough(end, cancelled);
}

bool WarmJob::PopulateRead(uint64_t end, const std::atomic<bool>& cancelled) {
  if (environment_.refused.populateRead) return false;
  const uint64_t start = PageStart(position_);
  const MappedRegion region(environment_.counters, Side::kPool, file_->fd(), PROT_READ, start,
                            end - start);
  if (!region.mapped()) return false;
  for (uint64_t done = 0; done < region.length() && !cancelled; done += kPopulateStepBytes) {
    const uint64_t bytes = std::min<uint64_t>(kPopulateStepBytes, region.length() - done);
    const int result = ::madvise(region.base() + done, bytes, kPopulateRead);
    const int error = errno;
    environment_.counters.Count(Side::kPool, Syscall::kMadvise, result == 0 ? bytes : 0);
    if (result == 0) continue;
    if (error == EINVAL) environment_.refused.populateRead = true;
    return false;
  }
  return true;
}

void WarmJob::ReadThrough(uint64_t end, const std::atomic<bool>& cancelled) {
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kReadStepBytes]);
  uint64_t at = position_;
  while (at < end && !cancelled) {
    const size_t want = std::min(kReadStepBytes, end - at);
    const ssize_t got = ::pread(file_->fd(), buffer.get(), want, static_cast<off_t>(at));
    const int error = errno;
    environment_.counters.CountResult(Side::kPool, Syscall::kPread, got);
    if (got == 0) return;
    if (got > 0) {
      at += static_cast<uint64_t>(got);
    } else if (error != EINTR) {
      Fail(error, "pread", file_->path());
      return;
    }
  }
}

}  // namespace millrace
