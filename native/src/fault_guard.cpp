#include "fault_guard.hpp"

#include <setjmp.h>
#include <signal.h>

#include <atomic>
#include <cstring>

namespace millrace {

namespace {

/// The copy that a thread is in.
struct Guard {
  uintptr_t begin;
  uintptr_t end;
  sigjmp_buf jump;
};

// glibc finds the variables of a module that was loaded late through a function that may allocate,
// which a signal handler must not call. initial-exec is a fixed place instead, of which it keeps
// some bytes for late modules; musl does without, and would refuse to load the module.
#ifdef __GLIBC__
#define MILLRACE_HANDLER_TLS __attribute__((tls_model("initial-exec")))
#else
#define MILLRACE_HANDLER_TLS
#endif

thread_local std::atomic<Guard*> current MILLRACE_HANDLER_TLS{nullptr};
static_assert(std::atomic<Guard*>::is_always_lock_free);

struct sigaction previous;

/// What would have happened without this module.
void HandOn(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  const bool sent = info->si_code <= 0;  // by kill(2) and the like, not by a fault
  if (previous.sa_handler == SIG_IGN && sent) return;
  if (previous.sa_handler != SIG_IGN && previous.sa_handler != SIG_DFL) {
    previous.sa_handler(signal);
    return;
  }
  // The default, which the kernel takes for an ignored fault as well: the instruction is tried
  // again, faults again, and a core dump shows where.
  ::signal(signal, SIG_DFL);
  if (sent) ::raise(signal);
}

void OnFault(int signal, siginfo_t* info, void* context) {
  Guard* const guard = current.load(std::memory_order_relaxed);
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool fault = info->si_code > 0;
  if (guard != nullptr && fault && address >= guard->begin && address < guard->end) {
    siglongjmp(guard->jump, 1);
  }
  HandOn(signal, info, context);
}

/// A function of its own, so that what it keeps in registers is none of sigsetjmp's business.
__attribute__((noinline)) void CopyAll(uint8_t* target, const iovec* chunks, size_t count) {
  for (size_t i = 0; i < count; i += 1) {
    std::memcpy(target, chunks[i].iov_base, chunks[i].iov_len);
    target += chunks[i].iov_len;
  }
}

}  // namespace

void InstallFaultGuard() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = OnFault;
    // NODEFER: the signal stays open, so that jumping out need not restore a mask, which would be a
    // system call for each copy. ONSTACK: for threads that have such a stack, as ASan's.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return ::sigaction(SIGBUS, &action, &previous) == 0;
  }();
  (void)installed;
}

// Nothing here has a destructor, nothing is changed after sigsetjmp and read after a jump, and the
// only things that are ever jumped out of are CopyAll and memcpy.
bool CopyGuarded(uint8_t* target, const iovec* chunks, size_t count, size_t bytes) {
  Guard guard;
  guard.begin = reinterpret_cast<uintptr_t>(target);
  guard.end = guard.begin + bytes;
  if (sigsetjmp(guard.jump, 0) != 0) {
    current.store(nullptr, std::memory_order_relaxed);
    return false;
  }
  current.store(&guard, std::memory_order_relaxed);
  // The compiler may not move the copy out of the guarded stretch.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  CopyAll(target, chunks, count);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  current.store(nullptr, std::memory_order_relaxed);
  return true;
}

}  // namespace millrace
