#pragma once

#include <napi.h>
#include <uv.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_set>

#include "completions.hpp"
#include "counters.hpp"
#include "worker_pool.hpp"

namespace millrace {

class WritablePoll;

/// What turned out not to work on this kernel (or under its seccomp filter), so as not to try
/// again.
struct Refused {
  bool cachestat = false;                   // loop thread only
  bool nowait = false;                      // loop thread only
  std::atomic<bool> populateRead{false};    // pools
  std::atomic<bool> populateWrite{false};   // pools
};

/// All state of one Node environment (the main thread, or a worker): nothing is global. Objects
/// share it, since JavaScript's last objects are finalised after the environment's own clean-up.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  /// Most bytes that one system call of a region send moves. On loopback with 1 MiB regions, 128
  /// and 256 KiB cost the mmap and copy strategies 10 to 20 % more CPU than 512 KiB, and 1 MiB
  /// saves 4 % at most; smaller is better for whoever waits for the loop.
  static constexpr size_t kSendChunkBytes = 512 * 1024;

  static void Install(Napi::Env env);
  static std::shared_ptr<Environment> From(Napi::Env env);

  explicit Environment(Napi::Env env);

  Counters counters;
  Refused refused;

 private:
  Completions completions_;

 public:
  WorkerPool syncPool;
  WorkerPool prefaultPool;
  WorkerPool warmPool;

  uv_loop_t* loop() const { return loop_; }
  /// kSendChunkBytes for the copy strategy; one is enough, a send never outlives its call.
  uint8_t* Scratch();

  /// Runs `body(napi_env)` with a handle scope and a callback scope; for libuv's callbacks.
  template <typename Body>
  void InCallbackScope(Body body);

  /// Calls from a libuv callback; what it throws becomes an uncaught exception.
  void Call(napi_value receiver, napi_value function);

  /// The clean-up waits until every libuv handle that was opened is closed.
  void HandleOpened() { openHandles_ += 1; }
  void HandleClosed();
  std::unordered_set<WritablePoll*>& polls() { return polls_; }

 private:
  void TearDown(napi_async_cleanup_hook_handle hook);
  void FinishTearDown();

  const Napi::Env env_;
  uv_loop_t* loop_ = nullptr;
  std::unique_ptr<Napi::AsyncContext> context_;
  std::unique_ptr<uint8_t[]> scratch_;
  std::unordered_set<WritablePoll*> polls_;
  size_t openHandles_ = 0;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  std::shared_ptr<Environment> self_;  // until the clean-up is over
};

/// The instance data proper. Holds references into JavaScript, so it goes with the environment.
struct AddonData {
  std::shared_ptr<Environment> environment;
  Napi::FunctionReference nativeFile;
  Napi::FunctionReference mapping;
  Napi::FunctionReference socketWriter;
};

template <typename Body>
void Environment::InCallbackScope(Body body) {
  const Napi::HandleScope handles(env_);
  const Napi::CallbackScope callbacks(env_, *context_);
  body(env_);
}

}  // namespace millrace
