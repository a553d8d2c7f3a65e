#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "descriptor.hpp"
#include "environment.hpp"

namespace millrace {

/// `NativeFile` of lib/native-file.ts.
class NativeFile final : public Napi::ObjectWrap<NativeFile> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);
  /// An argument that must be an open NativeFile; `operation` is for the error.
  static std::shared_ptr<Descriptor> Argument(const Napi::CallbackInfo& info, size_t index,
                                              const char* operation);

  explicit NativeFile(const Napi::CallbackInfo& info);

 private:
  Napi::Value Path(const Napi::CallbackInfo& info);
  Napi::Value Fd(const Napi::CallbackInfo& info);
  Napi::Value Closed(const Napi::CallbackInfo& info);
  Napi::Value Size(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Allocate(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Evict(const Napi::CallbackInfo& info);
  Napi::Value NextData(const Napi::CallbackInfo& info);
  Napi::Value Truncate(const Napi::CallbackInfo& info);
  Napi::Value Sync(const Napi::CallbackInfo& info);
  Napi::Value Residency(const Napi::CallbackInfo& info);
  Napi::Value Warm(const Napi::CallbackInfo& info);
  Napi::Value Lock(const Napi::CallbackInfo& info);
  Napi::Value HasOtherUsers(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);

  /// Throws EBADF when closed.
  const std::shared_ptr<Descriptor>& Opened(Napi::Env env, const char* operation) const;
  int64_t SizeOf(Napi::Env env, const Descriptor& file) const;

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Descriptor> file_;  // null once closed
  std::string path_;
};

}  // namespace millrace
