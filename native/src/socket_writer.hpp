#pragma once

#include <napi.h>

#include <memory>

#include "descriptor.hpp"
#include "environment.hpp"
#include "writable_poll.hpp"

namespace millrace {

/// `SocketWriter` of lib/socket-writer.ts.
class SocketWriter final : public Napi::ObjectWrap<SocketWriter>, private WritablePoll::Listener {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit SocketWriter(const Napi::CallbackInfo& info);
  ~SocketWriter() override;

 private:
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value SendFile(const Napi::CallbackInfo& info);
  Napi::Value SendMapped(const Napi::CallbackInfo& info);
  Napi::Value SendCopied(const Napi::CallbackInfo& info);
  Napi::Value OnceWritable(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void OnWritable() override;
  void OnPollClosed() override;

  /// Throws EBADF when closed.
  int Opened(Napi::Env env, const char* operation) const;
  void Release();

  /// The loop that the region sends share: they differ in `step(position, bytes)` alone, which
  /// makes the system calls for at most kSendChunkBytes and returns as send(2) does.
  template <typename Step>
  Napi::Value SendRegion(Napi::Env env, const Failure& context, int64_t position, int64_t length,
                         Step step);

  std::shared_ptr<Environment> environment_;
  std::unique_ptr<Descriptor> socket_;  // null once closed
  WritablePoll* poll_ = nullptr;        // made by the first OnceWritable; ours to close
  Napi::FunctionReference callback_;    // set while armed
};

}  // namespace millrace
