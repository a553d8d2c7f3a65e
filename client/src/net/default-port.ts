/** Port that a broker listens on unless told otherwise. */
export const DEFAULT_PORT = 7070;
