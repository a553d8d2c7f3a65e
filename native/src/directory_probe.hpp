#pragma once

#include <string>

#include "environment.hpp"
#include "residency.hpp"

namespace millrace {

struct DirectoryProbe {
  bool fallocate = false;
  bool mmap = false;
  bool sendfile = false;
  ResidencyMethod residency = ResidencyMethod::kNone;
  std::string detail;

  /// Tries everything on a scratch file in the directory. The failure is set when there is none.
  static DirectoryProbe Run(Environment& environment, const std::string& directory,
                            Failure* failure);
};

}  // namespace millrace
