import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Logger } from 'pino';

export interface LinesLogger {
  readonly logger: Logger;
  /** The first line whose message matches. */
  find(message: RegExp): unknown;
  count(message: RegExp): number;
}

/** A logger that keeps its lines, from `info` on. */
export function linesLogger(): LinesLogger {
  const lines: { readonly msg: string }[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(String(chunk)) as { msg: string });
      done();
    },
  });
  const matching = (message: RegExp): readonly unknown[] =>
    lines.filter(({ msg }) => message.test(msg));
  return {
    logger: pino({ level: 'info' }, stream),
    find: (message) => matching(message)[0],
    count: (message) => matching(message).length,
  };
}
