/** The six ways to persist and to serve, as arguments of the broker's command. */
export const cells: readonly (readonly string[])[] = ['mmap', 'write'].flatMap((persist) =>
  ['sendfile', 'mmap', 'copy'].map((serve) => ['--persist', persist, '--serve', serve]),
);
