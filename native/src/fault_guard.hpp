#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace millrace {

/// Installs the process's SIGBUS handler, once; faults that are not of a guarded copy go on to
/// whatever handled them before. Never taken out again: the module stays loaded (-z nodelete).
void InstallFaultGuard();

/// Copies the chunks to `target`, one after another. False when a page of the target could not be
/// had, which the kernel tells by SIGBUS: the file was cut under its mapping, its disk failed or is
/// full. Part of the bytes may be there then.
bool CopyGuarded(uint8_t* target, const iovec* chunks, size_t count, size_t bytes);

}  // namespace millrace
