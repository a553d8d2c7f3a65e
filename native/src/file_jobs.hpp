#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "completions.hpp"
#include "counters.hpp"
#include "descriptor.hpp"
#include "environment.hpp"
#include "mapped_region.hpp"

namespace millrace {

/// fdatasync(2).
class SyncFileJob final : public Job {
 public:
  SyncFileJob(Environment& environment, std::shared_ptr<Descriptor> file)
      : environment_(environment), file_(std::move(file)) {}
  void Run(const std::atomic<bool>& cancelled) override;

 private:
  Environment& environment_;
  const std::shared_ptr<Descriptor> file_;
};

/// open(2) and fsync(2) of a directory.
class SyncDirectoryJob final : public Job {
 public:
  SyncDirectoryJob(Environment& environment, std::string path)
      : environment_(environment), path_(std::move(path)) {}
  void Run(const std::atomic<bool>& cancelled) override;

 private:
  Environment& environment_;
  const std::string path_;
};

/// What jobs on a mapping hold: the memory, and the file as long as it is open.
struct RegionRange {
  std::shared_ptr<MappedRegion> region;
  std::shared_ptr<Descriptor> file;  // null: closed since
  std::string path;
  uint64_t position;
  uint64_t length;
};

/// msync(2), MS_SYNC. Pages that are full leave the mapping first (not the page cache).
class SyncRegionJob final : public Job {
 public:
  SyncRegionJob(Environment& environment, RegionRange range)
      : environment_(environment), range_(std::move(range)) {}
  void Run(const std::atomic<bool>& cancelled) override;

 private:
  void ReleaseFullPages(uint64_t start, uint64_t end);

  Environment& environment_;
  const RegionRange range_;
};

/// MADV_POPULATE_WRITE, as far as the file reaches. Its result is the CPU time that it took, NaN where the
/// kernel lacks it.
class PopulateJob final : public Job {
 public:
  PopulateJob(Environment& environment, RegionRange range)
      : environment_(environment), range_(std::move(range)) {}
  void Run(const std::atomic<bool>& cancelled) override;

 protected:
  napi_value Result(napi_env env) const override;

 private:
  uint64_t End() const;
  void Populate(const std::atomic<bool>& cancelled);

  Environment& environment_;
  const RegionRange range_;
  double cpuMicroseconds_ = 0;
};

/// Reads a range into the page cache: MADV_POPULATE_READ of a mapping made for it, else pread(2).
class WarmJob final : public Job {
 public:
  WarmJob(Environment& environment, std::shared_ptr<Descriptor> file, uint64_t position,
          uint64_t length)
      : environment_(environment),
        file_(std::move(file)),
        position_(position),
        length_(length) {}
  void Run(const std::atomic<bool>& cancelled) override;

 private:
  bool PopulateRead(uint64_t end, const std::atomic<bool>& cancelled);
  void ReadThrough(uint64_t end, const std::atomic<bool>& cancelled);

  Environment& environment_;
  const std::shared_ptr<Descriptor> file_;
  const uint64_t position_;
  const uint64_t length_;
};

}  // namespace millrace
