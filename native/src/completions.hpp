#pragma once

#include <napi.h>
#include <uv.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "errors.hpp"

namespace millrace {

class Environment;

/// Work for a pool thread, and the promise that it settles. Made, settled and destroyed on the
/// loop's thread, so that what it holds is released there; only Run is called on a pool thread.
class Job {
 public:
  virtual ~Job() = default;

  /// No JavaScript here. Long work looks at `cancelled` now and then and gives up.
  virtual void Run(const std::atomic<bool>& cancelled) = 0;

  napi_value MakePromise(Napi::Env env);
  void Settle(napi_env env);

  /// The promise will be rejected with this.
  void Fail(int error, const char* syscall, const std::string& path) {
    failure_ = {error, syscall, path};
  }
  const Failure& failure() const { return failure_; }

 protected:
  /// What the promise is resolved with. Loop thread.
  virtual napi_value Result(napi_env env) const;

 private:
  napi_deferred deferred_ = nullptr;
  Failure failure_;
};

/// Brings finished jobs of all pools back to the loop. Keeps the loop alive while any is
/// unfinished.
class Completions {
 public:
  explicit Completions(Environment& environment) : environment_(environment) {}

  void Open(uv_loop_t* loop);
  /// After the pools have stopped. Drops what was not settled.
  void Close();

  /// Loop thread: one more job is on its way.
  void Expect();
  /// Pool thread.
  void Post(std::unique_ptr<Job> job);

 private:
  void Drain();

  Environment& environment_;
  uv_async_t* async_ = nullptr;  // on the heap: it outlives Close until libuv lets go of it
  size_t expected_ = 0;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Job>> done_;
};

}  // namespace millrace
