import { once } from 'node:events';

/** Exit codes of the tools. */
export const EXIT_OK = 0;
export const EXIT_DAMAGED = 1;

const CHUNK_CHARACTERS = 64 * 1024;

/**
 * Text to stdout, as fast as it is taken there: what waits is a chunk at most. When the reader goes
 * (`| head`) the process ends.
 */
export class Output {
  #pending = '';

  constructor(private readonly stream: NodeJS.WriteStream = process.stdout) {
    endWithReader(stream);
  }

  async line(text: string): Promise<void> {
    this.#pending += `${text}\n`;
    if (this.#pending.length >= CHUNK_CHARACTERS) await this.flush();
  }

  /** Resolves when everything has been taken. */
  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '' && !this.stream.write(text)) await once(this.stream, 'drain');
  }
}

/** How commander prints: help and the version as {@link Output} does; what is wrong we say ourselves. */
export const commanderOutput = {
  writeOut: (text: string): void => {
    endWithReader(process.stdout);
    process.stdout.write(text);
  },
  writeErr: (): void => undefined,
} as const;

function endWithReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_OK);
    throw error;
  });
}

/** Says something beside the output, as one line on stderr. */
export function say(message: string): void {
  process.stderr.write(`millrace-broker: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
}
