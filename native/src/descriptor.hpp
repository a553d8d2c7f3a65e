#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace millrace {

/// Owns one file descriptor. Shared between the JavaScript object and the jobs that still use it.
class Descriptor {
 public:
  Descriptor(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~Descriptor();

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

  /// Size in bytes by fstat(2), or -1 with errno set.
  int64_t Size() const;

  /// RWF_NOWAIT turned out not to work on this file. Only the loop's thread asks and tells.
  bool nowaitRefused = false;
  /// Parts of it were not in the page cache, so more of it may be being read. The same thread's.
  bool wasCold = false;

 private:
  const int fd_;
  const std::string path_;
};

}  // namespace millrace
