#pragma once

#include <napi.h>

#include <string>

namespace millrace {

/// A system call that failed, kept until it can be told to JavaScript (pool threads cannot).
struct Failure {
  int error = 0;  ///< errno; 0 is success
  const char* syscall = "";
  std::string path;  ///< empty: none

  explicit operator bool() const { return error != 0; }
};

/// An Error with code, errno, syscall and path, as Node makes them. Never throws: during the
/// teardown of a thread the properties may be missing.
napi_value MakeError(napi_env env, const Failure& failure, const char* explanation = nullptr);

/// Counts the failure, and throws. `explanation`: instead of what the errno means.
[[noreturn]] void ThrowFailure(Napi::Env env, const Failure& failure,
                               const char* explanation = nullptr);

/// For use after close, and the like: the message is ours, nothing was called.
[[noreturn]] void ThrowMisuse(Napi::Env env, int error, const char* operation,
                              const std::string& path, const char* explanation);

[[noreturn]] void ThrowTypeError(Napi::Env env, const std::string& message);
[[noreturn]] void ThrowRangeError(Napi::Env env, const std::string& message);

}  // namespace millrace
