{
  "targets": [
    {
      "target_name": "millrace_native",
      "conditions": [
        ["OS!='linux'", { "type": "none" }],
        ["OS=='linux'", {
          "sources": [
            "src/addon.cpp",
            "src/arguments.cpp",
            "src/completions.cpp",
            "src/counters.cpp",
            "src/crc32c.cpp",
            "src/descriptor.cpp",
            "src/directory_probe.cpp",
            "src/environment.cpp",
            "src/errors.cpp",
            "src/fault_guard.cpp",
            "src/file_jobs.cpp",
            "src/mapped_region.cpp",
            "src/mapping.cpp",
            "src/native_file.cpp",
            "src/residency.cpp",
            "src/socket_writer.cpp",
            "src/worker_pool.cpp",
            "src/writable_poll.cpp"
          ],
          "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
          "defines": [
            "NAPI_VERSION=8",
            "NAPI_CPP_EXCEPTIONS",
            "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
            "NODE_ADDON_API_DISABLE_DEPRECATED"
          ],
          "ldflags": ["-Wl,-z,nodelete"],
          "cflags": ["-Wall", "-Wextra", "-O2", "-fvisibility=hidden"],
          "cflags!": ["-O3", "-fno-exceptions"],
          "cflags_cc": ["-std=c++17"],
          "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"]
        }]
      ]
    }
  ]
}
