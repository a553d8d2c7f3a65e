#pragma once

#include <napi.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "completions.hpp"
#include "semaphore.hpp"

namespace millrace {

/// Threads of our own, started when there is work: libuv's pool is shared with everything else
/// (DNS, fs, zlib), and a slow disk would hold that up.
class WorkerPool {
 public:
  /// Jobs that may wait; more is a caller that ignores backpressure.
  static constexpr size_t kMaxWaitingJobs = 65536;

  /// `name` is at most 15 characters: it becomes the threads' name.
  WorkerPool(Completions& completions, const char* name, size_t maxThreads)
      : completions_(completions), name_(name), maxThreads_(maxThreads) {}

  /// Loop thread. Returns the promise; throws EAGAIN when too many wait or no thread can start.
  Napi::Value Submit(Napi::Env env, std::unique_ptr<Job> job);

  /// Drops what waits, asks what runs to give up, and waits for it. No more can be submitted.
  void Stop();

 private:
  void Admit(Napi::Env env);
  void StartThread(Napi::Env env);
  void Main();

  Completions& completions_;
  const char* const name_;
  const size_t maxThreads_;
  std::vector<std::thread> threads_;
  std::atomic<bool> cancelled_{false};

  /// One for each job that waits; more when the pool stops.
  Semaphore available_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Job>> waiting_;
  size_t idle_ = 0;
};

}  // namespace millrace
