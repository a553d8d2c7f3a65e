/** The broker could not start or stop. */
export const EXIT_FAILED = 1;
/** The command line or the configuration is wrong, or what it names cannot be worked on. */
export const EXIT_USAGE = 2;
