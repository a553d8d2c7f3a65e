#include "native_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

#include "arguments.hpp"
#include "construction.hpp"
#include "errors.hpp"
#include "file_jobs.hpp"
#include "mapping.hpp"
#include "residency.hpp"

namespace millrace {

namespace {

constexpr napi_type_tag kTypeTag = {0x3f0c6a1be2d94c57, 0x9d41b7a68e02f513};

int OpenFlags(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsString()) {
    const std::string flags = info[index].As<Napi::String>().Utf8Value();
    if (flags == "read") return O_RDONLY;
    if (flags == "readwrite") return O_RDWR;
    if (flags == "create") return O_RDWR | O_CREAT | O_EXCL;
  }
  ThrowTypeError(info.Env(), "flags must be 'read', 'readwrite' or 'create'");
}

int Protection(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsString()) {
    const std::string access = info[index].As<Napi::String>().Utf8Value();
    if (access == "read") return PROT_READ;
    if (access == "write") return PROT_READ | PROT_WRITE;
  }
  ThrowTypeError(info.Env(), "access must be 'read' or 'write'");
}

}  // namespace

Napi::Function NativeFile::Define(Napi::Env env) {
  return DefineClass(env, "NativeFile",
                     {
                         InstanceAccessor<&NativeFile::Path>("path"),
                         InstanceAccessor<&NativeFile::Fd>("fd"),
                         InstanceAccessor<&NativeFile::Closed>("closed"),
                         InstanceMethod<&NativeFile::Size>("size"),
                         InstanceMethod<&NativeFile::Close>("close"),
                         InstanceMethod<&NativeFile::Allocate>("allocate"),
                         InstanceMethod<&NativeFile::Write>("write"),
                         InstanceMethod<&NativeFile::Read>("read"),
                         InstanceMethod<&NativeFile::Evict>("evict"),
                         InstanceMethod<&NativeFile::NextData>("nextData"),
                         InstanceMethod<&NativeFile::Truncate>("truncate"),
                         InstanceMethod<&NativeFile::Sync>("sync"),
                         InstanceMethod<&NativeFile::Residency>("residency"),
                         InstanceMethod<&NativeFile::Warm>("warm"),
                         InstanceMethod<&NativeFile::Lock>("lock"),
                         InstanceMethod<&NativeFile::HasOtherUsers>("hasOtherUsers"),
                         InstanceMethod<&NativeFile::Map>("map"),
                     });
}

Napi::Value NativeFile::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = PathArgument(info, 0, "path");
  const int flags = OpenFlags(info, 1);
  auto file = std::make_shared<Descriptor>(::open(path.c_str(), flags | O_CLOEXEC, 0644), path);
  if (file->fd() < 0) ThrowFailure(env, {errno, "open", path});
  return Construct(env, env.GetInstanceData<AddonData>()->nativeFile, &file);
}

NativeFile::NativeFile(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeFile>(info), environment_(Environment::From(info.Env())) {
  file_ = std::move(ConstructionParts<std::shared_ptr<Descriptor>>(info));
  path_ = file_->path();
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

std::shared_ptr<Descriptor> NativeFile::Argument(const Napi::CallbackInfo& info, size_t index,
                                                 const char* operation) {
  const Napi::Value value = info[index];
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    ThrowTypeError(info.Env(), "file must be a NativeFile");
  }
  return Unwrap(value.As<Napi::Object>())->Opened(info.Env(), operation);
}

const std::shared_ptr<Descriptor>& NativeFile::Opened(Napi::Env env, const char* operation) const {
  if (!file_) ThrowMisuse(env, EBADF, operation, path_, "the file is closed");
  return file_;
}

int64_t NativeFile::SizeOf(Napi::Env env, const Descriptor& file) const {
  const int64_t size = file.Size();
  if (size < 0) ThrowFailure(env, {errno, "fstat", path_});
  return size;
}

Napi::Value NativeFile::Path(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), path_);
}

Napi::Value NativeFile::Fd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), file_ ? file_->fd() : -1);
}

Napi::Value NativeFile::Closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), !file_);
}

Napi::Value NativeFile::Size(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Number::New(env, static_cast<double>(SizeOf(env, *Opened(env, "fstat"))));
}

Napi::Value NativeFile::Close(const Napi::CallbackInfo& info) {
  file_.reset();
  return info.Env().Undefined();
}

Napi::Value NativeFile::Allocate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "fallocate");
  const int64_t position = IntegerArgument(info, 0, "position");
  const int64_t length = IntegerArgument(info, 1, "length", 1);
  const int64_t before = SizeOf(env, file);

  int result = 0;
  do {
    result = ::fallocate(file.fd(), 0, position, length);
    environment_->counters.Count(Side::kLoop, Syscall::kFallocate,
                                 result == 0 ? static_cast<uint64_t>(length) : 0);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return env.Undefined();

  const int error = errno;
  // Some filesystems have extended the file before they found the disk full.
  if (file.Size() > before) {
    (void)!::ftruncate(file.fd(), before);  // the first error is the one to tell
    environment_->counters.Count(Side::kLoop, Syscall::kFtruncate, 0);
  }
  ThrowFailure(env, {error, "fallocate", path_});
}

Napi::Value NativeFile::Write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "pwritev");
  ChunksArgument chunks(info, 0, "chunks");
  int64_t position = IntegerArgument(info, 1, "position");
  while (chunks.count() > 0) {
    const int count = static_cast<int>(std::min<size_t>(chunks.count(), IOV_MAX));
    const ssize_t written = ::pwritev(file.fd(), chunks.data(), count, position);
    const int error = errno;
    environment_->counters.CountResult(Side::kLoop, Syscall::kPwritev, written);
    if (written > 0) {
      chunks.Advance(static_cast<uint64_t>(written));
      position += written;
    } else if (written == 0 || error != EINTR) {
      ThrowFailure(env, {written == 0 ? EIO : error, "pwritev", path_});
    }
  }
  return env.Undefined();
}

Napi::Value NativeFile::Read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "pread");
  const iovec target = BytesArgument(info, 0, "target");
  const int64_t position = IntegerArgument(info, 1, "position");
  size_t done = 0;
  while (done < target.iov_len) {
    uint8_t* to = static_cast<uint8_t*>(target.iov_base) + done;
    const ssize_t got = ::pread(file.fd(), to, target.iov_len - done,
                                position + static_cast<int64_t>(done));
    const int error = errno;
    environment_->counters.CountResult(Side::kLoop, Syscall::kPread, got);
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (error != EINTR) {
      ThrowFailure(env, {error, "pread", path_});
    }
  }
  return Napi::Number::New(env, static_cast<double>(done));
}

Napi::Value NativeFile::Evict(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "posix_fadvise");
  const int64_t position = IntegerArgument(info, 0, "position");
  (void)::posix_fadvise(file.fd(), position, 0, POSIX_FADV_DONTNEED);  // nothing depends on it
  return env.Undefined();
}

Napi::Value NativeFile::NextData(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "lseek");
  const int64_t position = IntegerArgument(info, 0, "position");
  // The descriptor's own position, which this moves, is used by nobody.
  off_t start = ::lseek(file.fd(), position, SEEK_DATA);
  off_t end = start < 0 ? start : ::lseek(file.fd(), start, SEEK_HOLE);
  if (start < 0 && errno == ENXIO) return env.Undefined();
  if (end < 0) {
    // This filesystem knows neither; what else is wrong shows when the rest is read.
    start = position;
    end = SizeOf(env, file);
    if (start >= end) return env.Undefined();
  }
  Napi::Object range = Napi::Object::New(env);
  range.Set("start", static_cast<double>(start));
  range.Set("end", static_cast<double>(end));
  return range;
}

Napi::Value NativeFile::Truncate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "ftruncate");
  const int64_t length = IntegerArgument(info, 0, "length");
  int result = 0;
  do {
    result = ::ftruncate(file.fd(), length);
    environment_->counters.Count(Side::kLoop, Syscall::kFtruncate, 0);
  } while (result != 0 && errno == EINTR);
  if (result != 0) ThrowFailure(env, {errno, "ftruncate", path_});
  return env.Undefined();
}

Napi::Value NativeFile::Sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto job = std::make_unique<SyncFileJob>(*environment_, Opened(env, "fdatasync"));
  return environment_->syncPool.Submit(env, std::move(job));
}

Napi::Value NativeFile::Residency(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Descriptor& file = *Opened(env, "residency");
  const int64_t position = IntegerArgument(info, 0, "position");
  const int64_t length = IntegerArgument(info, 1, "length");
  if (position + length > SizeOf(env, file)) return Napi::String::New(env, "short");
  // Where there is nothing to read, nothing blocks.
  if (length == 0) return Napi::String::New(env, "resident");
  switch (ProbeResidency(*environment_, file, static_cast<uint64_t>(position),
                         static_cast<uint64_t>(length))) {
    case Residency::kResident:
      return Napi::String::New(env, "resident");
    case Residency::kCold:
      return Napi::String::New(env, "cold");
    default:
      return Napi::String::New(env, "unknown");
  }
}

Napi::Value NativeFile::Warm(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Descriptor>& file = Opened(env, "warm");
  const auto position = static_cast<uint64_t>(IntegerArgument(info, 0, "position"));
  const auto length = static_cast<uint64_t>(IntegerArgument(info, 1, "length"));
  auto job = std::make_unique<WarmJob>(*environment_, file, position, length);
  return environment_->warmPool.Submit(env, std::move(job));
}

Napi::Value NativeFile::Lock(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "flock");
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) return Napi::Boolean::New(env, true);
  if (errno != EWOULDBLOCK) ThrowFailure(env, {errno, "flock", path_});
  return Napi::Boolean::New(env, false);
}

Napi::Value NativeFile::HasOtherUsers(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Descriptor& file = *Opened(env, "fcntl");
  // Who opens the file while the lease is held, for a moment, breaks it: the signal that tells of
  // that must be one that is ignored, where SIGIO would end the process.
  if (::fcntl(file.fd(), F_SETSIG, SIGURG) != 0) ThrowFailure(env, {errno, "fcntl", path_});
  if (::fcntl(file.fd(), F_SETLEASE, F_WRLCK) == 0) {
    (void)::fcntl(file.fd(), F_SETLEASE, F_UNLCK);  // it goes with the descriptor, too
    return Napi::Boolean::New(env, false);
  }
  if (errno != EAGAIN) ThrowFailure(env, {errno, "fcntl", path_});
  return Napi::Boolean::New(env, true);
}

Napi::Value NativeFile::Map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<Descriptor>& file = Opened(env, "mmap");
  const int64_t length = IntegerArgument(info, 0, "length", 1);
  return Mapping::Make(env, file, static_cast<size_t>(length), Protection(info, 1));
}

}  // namespace millrace
