/** The default, and each pair of the pure ways to persist and to serve. */
export const cells = [
  { persist: 'adaptive', serve: 'sendfile' },
  ...['mmap', 'write'].flatMap((persist) =>
    ['sendfile', 'mmap', 'copy'].map((serve) => ({ persist, serve })),
  ),
];
