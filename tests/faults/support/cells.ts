import { persistNames, serveNames } from '../../../broker/src/modes.js';

/** The ways to persist and to serve, as arguments of the broker's command: each pair. */
export const cells: readonly (readonly string[])[] = persistNames.flatMap((persist) =>
  serveNames.map((serve) => ['--persist', persist, '--serve', serve]),
);
