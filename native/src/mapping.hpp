#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "descriptor.hpp"
#include "environment.hpp"
#include "file_jobs.hpp"
#include "mapped_region.hpp"

namespace millrace {

/// `Mapping` of lib/mapping.ts.
class Mapping final : public Napi::ObjectWrap<Mapping> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, const std::shared_ptr<Descriptor>& file, size_t length,
                          int protection);
  /// An argument that must be a live Mapping; `operation` is for the error.
  static const Mapping& Argument(const Napi::CallbackInfo& info, size_t index,
                                 const char* operation);

  explicit Mapping(const Napi::CallbackInfo& info);

  /// Only of a live one.
  const MappedRegion& region() const { return *region_; }
  const std::string& path() const { return path_; }

 private:
  struct Parts {
    std::shared_ptr<MappedRegion> region;
    std::shared_ptr<Descriptor> file;
    bool writable;
  };

  Napi::Value Length(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Populate(const Napi::CallbackInfo& info);
  Napi::Value UseHugePages(const Napi::CallbackInfo& info);
  Napi::Value Sync(const Napi::CallbackInfo& info);
  Napi::Value Unmap(const Napi::CallbackInfo& info);

  /// Throws EBADF when unmapped.
  MappedRegion& Mapped(Napi::Env env, const char* operation) const;
  void CheckWritable(Napi::Env env, const char* operation) const;
  RegionRange RangeArguments(const Napi::CallbackInfo& info) const;

  std::shared_ptr<Environment> environment_;  // before region_, which counts into it at its end
  std::shared_ptr<MappedRegion> region_;      // null once unmapped
  std::weak_ptr<Descriptor> file_;  // weak: a mapping must not keep a closed file's descriptor
  std::string path_;
  bool writable_ = false;
};

}  // namespace millrace
