#include <napi.h>

#include <limits>
#include <string>

#include "arguments.hpp"
#include "crc32c.hpp"
#include "directory_probe.hpp"
#include "environment.hpp"
#include "errors.hpp"
#include "fault_guard.hpp"
#include "file_jobs.hpp"
#include "mapping.hpp"
#include "native_file.hpp"
#include "socket_writer.hpp"

namespace millrace {

namespace {

/// Must equal INTERFACE_VERSION in lib/loader.ts.
constexpr int kInterfaceVersion = 5;

Napi::Value SyncDirectory(const Napi::CallbackInfo& info) {
  const auto environment = Environment::From(info.Env());
  auto job = std::make_unique<SyncDirectoryJob>(*environment, PathArgument(info, 0, "path"));
  return environment->syncPool.Submit(info.Env(), std::move(job));
}

const char* Name(ResidencyMethod method) {
  if (method == ResidencyMethod::kCachestat) return "cachestat";
  return method == ResidencyMethod::kNowait ? "nowait" : "none";
}

Napi::Value ProbeDirectory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = PathArgument(info, 0, "path");
  Failure failure;
  const auto probe = DirectoryProbe::Run(*Environment::From(env), path, &failure);
  if (failure) ThrowFailure(env, failure);
  Napi::Object result = Napi::Object::New(env);
  result.Set("fallocate", probe.fallocate);
  result.Set("mmap", probe.mmap);
  result.Set("sendfile", probe.sendfile);
  result.Set("residency", Name(probe.residency));
  result.Set("detail", probe.detail);
  return result;
}

Napi::Value SumCrc32c(const Napi::CallbackInfo& info) {
  const iovec bytes = BytesArgument(info, 0, "bytes");
  const int64_t crc = IntegerArgument(info, 1, "crc");
  if (crc > std::numeric_limits<uint32_t>::max()) {
    ThrowRangeError(info.Env(), "crc must have 32 bits, not be " + std::to_string(crc));
  }
  const auto* first = static_cast<const uint8_t*>(bytes.iov_base);
  return Napi::Number::New(info.Env(), Crc32c(static_cast<uint32_t>(crc), first, bytes.iov_len));
}

Napi::Value ReadCounters(const Napi::CallbackInfo& info) {
  return Environment::From(info.Env())->counters.ToObject(info.Env());
}

}  // namespace

Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  InstallFaultGuard();
  Environment::Install(env);
  AddonData& data = *env.GetInstanceData<AddonData>();
  data.nativeFile = Napi::Persistent(NativeFile::Define(env));
  data.mapping = Napi::Persistent(Mapping::Define(env));
  data.socketWriter = Napi::Persistent(SocketWriter::Define(env));

  exports.Set("interfaceVersion", Napi::Number::New(env, kInterfaceVersion));
  exports.Set("sendChunkBytes", Napi::Number::New(env, Environment::kSendChunkBytes));
  exports.Set("openFile", Napi::Function::New<NativeFile::Open>(env, "openFile"));
  exports.Set("socketWriter", Napi::Function::New<SocketWriter::Open>(env, "socketWriter"));
  exports.Set("syncDirectory", Napi::Function::New<SyncDirectory>(env, "syncDirectory"));
  exports.Set("probeDirectory", Napi::Function::New<ProbeDirectory>(env, "probeDirectory"));
  if (HasCrc32c()) exports.Set("crc32c", Napi::Function::New<SumCrc32c>(env, "crc32c"));
  exports.Set("counters", Napi::Function::New<ReadCounters>(env, "counters"));
  return exports;
}

}  // namespace millrace

using millrace::InitAddon;

NODE_API_MODULE(millrace_native, InitAddon)
