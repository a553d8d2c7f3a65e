#include "socket_writer.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "arguments.hpp"
#include "construction.hpp"
#include "errors.hpp"
#include "mapping.hpp"
#include "native_file.hpp"

namespace millrace {

namespace {

int SendFlags(bool more) { return MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0); }

void CheckStreamSocket(Napi::Env env, int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    ThrowFailure(env, {errno, "getsockopt", ""});
  }
  if (type != SOCK_STREAM) {
    ThrowMisuse(env, EPROTOTYPE, "socketWriter", "", "the descriptor is not a stream socket");
  }
}

}  // namespace

Napi::Function SocketWriter::Define(Napi::Env env) {
  return DefineClass(env, "SocketWriter",
                     {
                         InstanceMethod<&SocketWriter::Send>("send"),
                         InstanceMethod<&SocketWriter::SendFile>("sendFile"),
                         InstanceMethod<&SocketWriter::SendMapped>("sendMapped"),
                         InstanceMethod<&SocketWriter::SendCopied>("sendCopied"),
                         InstanceMethod<&SocketWriter::OnceWritable>("onceWritable"),
                         InstanceMethod<&SocketWriter::Close>("close"),
                     });
}

Napi::Value SocketWriter::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int64_t fd = IntegerArgument(info, 0, "fd");
  if (fd > INT_MAX) ThrowRangeError(env, "fd must be a file descriptor");
  CheckStreamSocket(env, static_cast<int>(fd));
  auto socket =
      std::make_unique<Descriptor>(::fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 0), "");
  if (socket->fd() < 0) ThrowFailure(env, {errno, "fcntl", ""});
  // sendfile(2) has no flag for it. libuv's sockets are non-blocking already.
  const int flags = ::fcntl(socket->fd(), F_GETFL);
  if (flags < 0 || ::fcntl(socket->fd(), F_SETFL, flags | O_NONBLOCK) != 0) {
    ThrowFailure(env, {errno, "fcntl", ""});
  }
  return Construct(env, env.GetInstanceData<AddonData>()->socketWriter, &socket);
}

SocketWriter::SocketWriter(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<SocketWriter>(info), environment_(Environment::From(info.Env())) {
  socket_ = std::move(ConstructionParts<std::unique_ptr<Descriptor>>(info));
}

SocketWriter::~SocketWriter() {
  if (poll_ != nullptr) poll_->Close();
}

int SocketWriter::Opened(Napi::Env env, const char* operation) const {
  if (!socket_) ThrowMisuse(env, EBADF, operation, "", "the socket writer is closed");
  return socket_->fd();
}

Napi::Value SocketWriter::Send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = Opened(env, "sendmsg");
  ChunksArgument chunks(info, 0, "chunks");
  const auto skip = static_cast<uint64_t>(IntegerArgument(info, 1, "skip"));
  const bool more = BooleanArgument(info, 2, "more");
  CheckRange(env, 0, static_cast<int64_t>(skip), chunks.bytes(), "chunks");
  chunks.Advance(skip);

  Counters& counters = environment_->counters;
  uint64_t sent = 0;
  while (chunks.count() > 0) {
    msghdr message{};
    message.msg_iov = chunks.data();
    message.msg_iovlen = std::min<size_t>(chunks.count(), IOV_MAX);
    const bool last = message.msg_iovlen == chunks.count();
    uint64_t offered = 0;
    for (size_t i = 0; i < message.msg_iovlen; i += 1) offered += message.msg_iov[i].iov_len;

    const ssize_t taken = ::sendmsg(socket, &message, SendFlags(more || !last));
    const int error = errno;
    counters.CountResult(Side::kLoop, Syscall::kSendmsg, taken);
    if (taken < 0 && error == EINTR) continue;
    if (taken < 0 && error != EAGAIN) ThrowFailure(env, {error, "sendmsg", ""});
    if (taken > 0) {
      chunks.Advance(static_cast<uint64_t>(taken));
      sent += static_cast<uint64_t>(taken);
    }
    if (taken < 0 || static_cast<uint64_t>(taken) < offered) {
      counters.WouldBlock();
      break;
    }
  }
  return Napi::Number::New(env, static_cast<double>(sent));
}

template <typename Step>
Napi::Value SocketWriter::SendRegion(Napi::Env env, const Failure& context, int64_t position,
                                     int64_t length, Step step) {
  int64_t sent = 0;
  while (sent < length) {
    const int64_t bytes =
        std::min(length - sent, static_cast<int64_t>(Environment::kSendChunkBytes));
    const ssize_t taken = step(position + sent, static_cast<size_t>(bytes));
    const int error = errno;
    if (taken < 0 && error == EINTR) continue;
    if (taken < 0 && error != EAGAIN) ThrowFailure(env, {error, context.syscall, context.path});
    if (taken > 0) sent += taken;
    // Less than was offered means a full socket. Trying once more would only earn EAGAIN, and the
    // copy strategy would have to read for that, which the others need not.
    if (taken < bytes) {
      environment_->counters.WouldBlock();
      break;
    }
  }
  return Napi::Number::New(env, static_cast<double>(sent));
}

Napi::Value SocketWriter::SendFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = Opened(env, "sendfile");
  const std::shared_ptr<Descriptor> file = NativeFile::Argument(info, 0, "sendfile");
  const int64_t position = IntegerArgument(info, 1, "position");
  const int64_t length = IntegerArgument(info, 2, "length");
  Counters& counters = environment_->counters;
  return SendRegion(env, {0, "sendfile", file->path()}, position, length,
                    [&](int64_t at, size_t bytes) -> ssize_t {
                      off_t offset = at;
                      ssize_t taken = ::sendfile(socket, file->fd(), &offset, bytes);
                      counters.CountResult(Side::kLoop, Syscall::kSendfile, taken);
                      if (taken != 0) return taken;
                      errno = ENODATA;
                      return -1;
                    });
}

Napi::Value SocketWriter::SendMapped(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = Opened(env, "send");
  const Mapping& mapping = Mapping::Argument(info, 0, "send");
  const MappedRegion& region = mapping.region();
  const int64_t position = IntegerArgument(info, 1, "position");
  const int64_t length = IntegerArgument(info, 2, "length");
  const bool more = BooleanArgument(info, 3, "more");
  CheckRange(env, position, length, region.length(), "mapping");
  const int64_t end = position + length;
  Counters& counters = environment_->counters;
  const Failure context{0, "send", mapping.path()};
  return SendRegion(env, context, position, length, [&](int64_t at, size_t bytes) {
    const bool last = at + static_cast<int64_t>(bytes) == end;
    const ssize_t taken = ::send(socket, region.base() + at, bytes, SendFlags(more && last));
    counters.CountResult(Side::kLoop, Syscall::kSend, taken);
    // The kernel's word for a page that cannot be had. sendfile(2) and pread(2) say it so.
    if (taken < 0 && errno == EFAULT) errno = EIO;
    return taken;
  });
}

Napi::Value SocketWriter::SendCopied(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = Opened(env, "send");
  const std::shared_ptr<Descriptor> file = NativeFile::Argument(info, 0, "pread");
  const int64_t position = IntegerArgument(info, 1, "position");
  const int64_t length = IntegerArgument(info, 2, "length");
  const bool more = BooleanArgument(info, 3, "more");
  const int64_t end = position + length;
  uint8_t* const scratch = environment_->Scratch();
  Counters& counters = environment_->counters;
  Failure context{0, "send", file->path()};
  return SendRegion(env, context, position, length, [&](int64_t at, size_t bytes) -> ssize_t {
    const ssize_t got = ::pread(file->fd(), scratch, bytes, at);
    counters.CountResult(Side::kLoop, Syscall::kPread, got);
    if (got <= 0) {
      context.syscall = "pread";
      if (got == 0) errno = ENODATA;
      return -1;
    }
    // A short read is sent whole, and the loop takes it for a full socket: then the caller waits
    // for writability in vain once, which costs a turn of the loop and no more.
    const bool last = at + got == end;
    const ssize_t taken =
        ::send(socket, scratch, static_cast<size_t>(got), SendFlags(more && last));
    counters.CountResult(Side::kLoop, Syscall::kSend, taken);
    return taken;
  });
}

Napi::Value SocketWriter::OnceWritable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = Opened(env, "onceWritable");
  if (!info[0].IsFunction()) ThrowTypeError(env, "callback must be a function");
  if (poll_ != nullptr && poll_->armed()) {
    ThrowMisuse(env, EALREADY, "onceWritable", "", "an earlier callback is still due");
  }
  int error = 0;
  if (poll_ == nullptr) poll_ = WritablePoll::Open(*environment_, socket, this, &error);
  if (poll_ != nullptr) error = poll_->Arm();
  if (error != 0) ThrowFailure(env, {-error, "epoll_ctl", ""});
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
  Ref();  // not to be collected while libuv may call
  return env.Undefined();
}

void SocketWriter::OnWritable() {
  environment_->InCallbackScope([this](napi_env) {
    const Napi::Function callback = callback_.Value();
    const Napi::Object self = Value();
    const std::shared_ptr<Environment> environment = environment_;
    Release();
    // After this the callback may have closed the writer: nothing of it is used any more.
    environment->Call(self, callback);
  });
}

void SocketWriter::Release() {
  if (callback_.IsEmpty()) return;
  callback_.Reset();
  Unref();
}

void SocketWriter::OnPollClosed() {
  poll_ = nullptr;
  Release();
}

Napi::Value SocketWriter::Close(const Napi::CallbackInfo& info) {
  // The poll goes first: epoll must forget the descriptor while it still is this one.
  if (poll_ != nullptr) poll_->Close();
  socket_.reset();
  return info.Env().Undefined();
}

}  // namespace millrace
