/** The configuration or the command line is not valid; the message says what, where and what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The broker cannot start for a reason outside of its configuration, such as a port in use. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
