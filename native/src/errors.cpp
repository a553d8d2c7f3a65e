#include "errors.hpp"

#include <uv.h>

#include "environment.hpp"

namespace millrace {

namespace {

napi_value String(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

void Set(napi_env env, napi_value object, const char* name, napi_value value) {
  if (value != nullptr) napi_set_named_property(env, object, name, value);
}

}  // namespace

napi_value MakeError(napi_env env, const Failure& failure, const char* explanation) {
  char code[32];
  char meaning[128];
  // libuv numbers its errors as negative errnos on Unix, and knows all names.
  uv_err_name_r(-failure.error, code, sizeof(code));
  uv_strerror_r(-failure.error, meaning, sizeof(meaning));

  std::string message = std::string(code) + ": ";
  message += explanation != nullptr ? explanation : meaning;
  message += std::string(", ") + failure.syscall;
  if (!failure.path.empty()) message += " '" + failure.path + "'";

  napi_value error = nullptr;
  napi_value codeValue = String(env, code);
  if (napi_create_error(env, codeValue, String(env, message), &error) != napi_ok) return nullptr;

  napi_value number = nullptr;
  napi_create_int32(env, -failure.error, &number);
  Set(env, error, "errno", number);
  Set(env, error, "syscall", String(env, failure.syscall));
  if (!failure.path.empty()) Set(env, error, "path", String(env, failure.path));
  return error;
}

void ThrowFailure(Napi::Env env, const Failure& failure, const char* explanation) {
  Environment::From(env)->counters.Failed();
  throw Napi::Error(env, MakeError(env, failure, explanation));
}

void ThrowMisuse(Napi::Env env, int error, const char* operation, const std::string& path,
                 const char* explanation) {
  throw Napi::Error(env, MakeError(env, {error, operation, path}, explanation));
}

void ThrowTypeError(Napi::Env env, const std::string& message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", "ERR_INVALID_ARG_TYPE");
  throw error;
}

void ThrowRangeError(Napi::Env env, const std::string& message) {
  Napi::RangeError error = Napi::RangeError::New(env, message);
  error.Set("code", "ERR_OUT_OF_RANGE");
  throw error;
}

}  // namespace millrace
