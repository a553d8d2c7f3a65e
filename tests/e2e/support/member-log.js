import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What happened to one member, one JSON object per line. Written at once, so that it is there after
 * a SIGKILL; runs of messages are gathered while nothing else can happen.
 */
export class MemberLog {
  #fd;
  #run;

  constructor(directory, name) {
    this.#fd = openSync(join(directory, `${name}.jsonl`), 'a');
  }

  write(entry) {
    this.flush();
    this.#write(entry);
  }

  /** Messages that are about to be handled. */
  delivered(partition, first, last, generation) {
    const run = this.#run;
    if (run?.partition === partition && run.generation === generation && run.last + 1 === first) {
      run.last = last;
      return;
    }
    this.flush();
    this.#run = { type: 'delivered', partition, first, last, generation };
    // Before any timer or socket has its turn, and so before a commit in the background.
    process.nextTick(() => this.flush());
  }

  flush() {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined) this.#write(run);
  }

  #write(entry) {
    writeSync(this.#fd, `${JSON.stringify({ atMs: Date.now(), ...entry })}\n`);
  }
}
