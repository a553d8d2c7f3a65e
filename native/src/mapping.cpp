#include "mapping.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "arguments.hpp"
#include "construction.hpp"
#include "errors.hpp"

namespace millrace {

namespace {

/// `HUGE_PAGE_BYTES` of lib/mapping.ts.
constexpr int64_t kHugePageBytes = 2 * 1024 * 1024;

constexpr napi_type_tag kTypeTag = {0xb81e5d7c02a64f39, 0x8c7712e5d90b3aa6};

}  // namespace

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {
                         InstanceAccessor<&Mapping::Length>("length"),
                         InstanceMethod<&Mapping::Write>("write"),
                         InstanceMethod<&Mapping::Populate>("populate"),
                         InstanceMethod<&Mapping::UseHugePages>("useHugePages"),
                         InstanceMethod<&Mapping::Sync>("sync"),
                         InstanceMethod<&Mapping::Unmap>("unmap"),
                     });
}

Napi::Value Mapping::Make(Napi::Env env, const std::shared_ptr<Descriptor>& file, size_t length,
                          int protection) {
  AddonData& data = *env.GetInstanceData<AddonData>();
  auto region = std::make_shared<MappedRegion>(data.environment->counters, Side::kLoop,
                                               file->fd(), protection, 0, length);
  if (!region->mapped()) ThrowFailure(env, {errno, "mmap", file->path()});
  Parts parts{std::move(region), file, (protection & PROT_WRITE) != 0};
  return Construct(env, data.mapping, &parts);
}

Mapping::Mapping(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Mapping>(info), environment_(Environment::From(info.Env())) {
  Parts& parts = ConstructionParts<Parts>(info);
  region_ = std::move(parts.region);
  file_ = parts.file;
  path_ = parts.file->path();
  writable_ = parts.writable;
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

const Mapping& Mapping::Argument(const Napi::CallbackInfo& info, size_t index,
                                 const char* operation) {
  const Napi::Value value = info[index];
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    ThrowTypeError(info.Env(), "mapping must be a Mapping");
  }
  const Mapping& mapping = *Unwrap(value.As<Napi::Object>());
  mapping.Mapped(info.Env(), operation);
  return mapping;
}

MappedRegion& Mapping::Mapped(Napi::Env env, const char* operation) const {
  if (!region_) ThrowMisuse(env, EBADF, operation, path_, "the mapping is unmapped");
  return *region_;
}

void Mapping::CheckWritable(Napi::Env env, const char* operation) const {
  if (!writable_) ThrowMisuse(env, EACCES, operation, path_, "the mapping is for reading");
}

RegionRange Mapping::RangeArguments(const Napi::CallbackInfo& info) const {
  const int64_t position = IntegerArgument(info, 0, "position");
  const int64_t length = IntegerArgument(info, 1, "length");
  CheckRange(info.Env(), position, length, region_->length(), "mapping");
  return {region_, file_.lock(), path_, static_cast<uint64_t>(position),
          static_cast<uint64_t>(length)};
}

Napi::Value Mapping::Length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), region_ ? static_cast<double>(region_->length()) : 0);
}

Napi::Value Mapping::Write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  MappedRegion& region = Mapped(env, "write");
  CheckWritable(env, "write");
  ChunksArgument chunks(info, 0, "chunks");
  const int64_t position = IntegerArgument(info, 1, "position");
  CheckRange(env, position, static_cast<int64_t>(chunks.bytes()), region.length(), "mapping");
  if (!region.Copy(static_cast<size_t>(position), chunks.data(), chunks.count(), chunks.bytes())) {
    ThrowFailure(env, {EIO, "write", path_},
                 "the mapped file cannot be written to at that position: it was cut, or its disk "
                 "failed or is full");
  }
  environment_->counters.Copied(chunks.bytes());
  return env.Undefined();
}

Napi::Value Mapping::Populate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapped(env, "madvise");
  CheckWritable(env, "madvise");
  auto job = std::make_unique<PopulateJob>(*environment_, RangeArguments(info));
  return environment_->prefaultPool.Submit(env, std::move(job));
}

Napi::Value Mapping::UseHugePages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const MappedRegion& region = Mapped(env, "madvise");
  const int64_t position = IntegerArgument(info, 0, "position");
  const bool wanted = BooleanArgument(info, 1, "wanted");
  CheckRange(env, position, 0, region.length(), "mapping");
  if (position % kHugePageBytes != 0) {
    ThrowRangeError(env, "position must be a multiple of " + std::to_string(kHugePageBytes));
  }
  const size_t start = static_cast<size_t>(position);
  if (start == region.length()) return env.Undefined();
  // Advice: what came of it shows in the faults, and nothing depends on it.
  ::madvise(region.base() + start, region.length() - start,
            wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  environment_->counters.Count(Side::kLoop, Syscall::kMadvise, 0);
  return env.Undefined();
}

Napi::Value Mapping::Sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapped(env, "msync");
  auto job = std::make_unique<SyncRegionJob>(*environment_, RangeArguments(info));
  return environment_->syncPool.Submit(env, std::move(job));
}

Napi::Value Mapping::Unmap(const Napi::CallbackInfo& info) {
  region_.reset();
  return info.Env().Undefined();
}

}  // namespace millrace
