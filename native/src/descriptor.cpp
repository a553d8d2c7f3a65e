#include "descriptor.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace millrace {

Descriptor::~Descriptor() {
  // The result is not looked at: what had to be durable was synced, and Linux frees the descriptor
  // even when close(2) fails.
  if (fd_ >= 0) ::close(fd_);
}

int64_t Descriptor::Size() const {
  struct stat status;
  return ::fstat(fd_, &status) == 0 ? static_cast<int64_t>(status.st_size) : -1;
}

}  // namespace millrace
