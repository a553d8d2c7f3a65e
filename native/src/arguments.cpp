#include "arguments.hpp"

#include <cmath>

#include "errors.hpp"

namespace millrace {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

bool ReadBytes(napi_env env, napi_value value, iovec* bytes) {
  bool isTypedArray = false;
  if (napi_is_typedarray(env, value, &isTypedArray) != napi_ok || !isTypedArray) return false;
  napi_typedarray_type type;
  const napi_status status = napi_get_typedarray_info(env, value, &type, &bytes->iov_len,
                                                      &bytes->iov_base, nullptr, nullptr);
  return status == napi_ok && type == napi_uint8_array;
}

}  // namespace

int64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name,
                        int64_t minimum) {
  double value = 0;
  if (napi_get_value_double(info.Env(), info[index], &value) != napi_ok) {
    ThrowTypeError(info.Env(), std::string(name) + " must be a number");
  }
  // Written so that NaN fails too.
  const bool fits = value >= static_cast<double>(minimum) && value <= kMaxSafeInteger;
  if (!fits || value != std::floor(value)) {
    ThrowRangeError(info.Env(), std::string(name) + " must be a safe integer of at least " +
                                    std::to_string(minimum) + ", not " +
                                    Napi::Value(info[index]).ToString().Utf8Value());
  }
  return static_cast<int64_t>(value);
}

bool BooleanArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  bool value = false;
  if (napi_get_value_bool(info.Env(), info[index], &value) != napi_ok) {
    ThrowTypeError(info.Env(), std::string(name) + " must be a boolean");
  }
  return value;
}

std::string PathArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const Napi::Value value = info[index];
  if (!value.IsString()) ThrowTypeError(info.Env(), std::string(name) + " must be a string");
  std::string path = value.As<Napi::String>().Utf8Value();
  if (path.empty() || path.find('\0') != std::string::npos) {
    ThrowRangeError(info.Env(), std::string(name) + " must be a path: not empty, no zero byte");
  }
  return path;
}

iovec BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  iovec bytes{};
  if (!ReadBytes(info.Env(), info[index], &bytes)) {
    ThrowTypeError(info.Env(), std::string(name) + " must be a Uint8Array");
  }
  return bytes;
}

void CheckRange(Napi::Env env, int64_t position, int64_t length, uint64_t bound,
                const char* what) {
  if (static_cast<uint64_t>(position) + static_cast<uint64_t>(length) <= bound) return;
  ThrowRangeError(env, std::to_string(length) + " bytes at " + std::to_string(position) +
                           " reach beyond the " + what + " of " + std::to_string(bound) +
                           " bytes");
}

ChunksArgument::ChunksArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const Napi::Env env = info.Env();
  const napi_value array = info[index];
  bool isArray = false;
  uint32_t length = 0;
  if (napi_is_array(env, array, &isArray) != napi_ok || !isArray ||
      napi_get_array_length(env, array, &length) != napi_ok) {
    ThrowTypeError(env, std::string(name) + " must be an array of Uint8Array");
  }
  for (uint32_t i = 0; i < length; i += 1) {
    napi_value element = nullptr;
    iovec chunk{};
    if (napi_get_element(env, array, i, &element) != napi_ok ||
        !ReadBytes(env, element, &chunk)) {
      ThrowTypeError(env, std::string(name) + "[" + std::to_string(i) + "] must be a Uint8Array");
    }
    if (chunk.iov_len > 0) Add(chunk);
  }
}

void ChunksArgument::Add(const iovec& chunk) {
  if (count_ < kInline) {
    inline_[count_] = chunk;
  } else {
    if (count_ == kInline) overflow_.assign(inline_, inline_ + kInline);
    overflow_.push_back(chunk);
    data_ = overflow_.data();
  }
  count_ += 1;
  bytes_ += chunk.iov_len;
}

void ChunksArgument::Advance(uint64_t bytes) {
  bytes_ -= bytes;
  while (count_ > 0 && bytes >= data_->iov_len) {
    bytes -= data_->iov_len;
    data_ += 1;
    count_ -= 1;
  }
  if (count_ > 0) {
    data_->iov_base = static_cast<uint8_t*>(data_->iov_base) + bytes;
    data_->iov_len -= bytes;
  }
}

}  // namespace millrace
