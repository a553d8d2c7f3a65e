#include "counters.hpp"

namespace millrace {

namespace {

constexpr const char* kNames[] = {
    "pwritev",   "pread", "sendfile", "send",  "sendmsg",   "fallocate", "ftruncate",
    "mmap",      "munmap", "msync",    "fdatasync", "fsync", "madvise",   "residency",
};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == static_cast<size_t>(Syscall::kCount),
              "every kind of system call has a name");

Napi::Number Number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

}  // namespace

Napi::Object Counters::ToObject(Napi::Env env) const {
  Napi::Object result = Napi::Object::New(env);
  for (size_t i = 0; i < kKinds; i += 1) {
    const uint64_t calls = loop_[i].calls + pool_[i].calls.load(std::memory_order_relaxed);
    const uint64_t bytes = loop_[i].bytes + pool_[i].bytes.load(std::memory_order_relaxed);
    Napi::Object count = Napi::Object::New(env);
    count.Set("calls", Number(env, calls));
    count.Set("bytes", Number(env, bytes));
    result.Set(kNames[i], count);
  }
  result.Set("copiedBytes", Number(env, copiedBytes_));
  result.Set("wouldBlock", Number(env, wouldBlock_));
  result.Set("failures", Number(env, failures_));
  return result;
}

}  // namespace millrace
