#pragma once

#include <napi.h>

#include "errors.hpp"

namespace millrace {

/// What a constructor of ours is handed. JavaScript can reach the constructors (by way of an
/// object's `constructor`), but it cannot make one of these.
template <typename Parts>
Napi::Object Construct(Napi::Env env, const Napi::FunctionReference& constructor, Parts* parts) {
  return constructor.New({Napi::External<Parts>::New(env, parts)});
}

template <typename Parts>
Parts& ConstructionParts(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    ThrowTypeError(info.Env(), "Illegal constructor");
  }
  return *info[0].As<Napi::External<Parts>>().Data();
}

}  // namespace millrace
