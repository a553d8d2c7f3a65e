import type { FileReader } from './file-reader.js';
import { FileFindings } from './findings.js';
import type { Report } from './findings.js';
import { walkEntries } from './index-walk.js';
import type { WalkedEntry } from './index-walk.js';

const ADVICE = 'remove the file: the broker builds it again from the log';

/**
 * Compares an index with the batches of its segment, both front to back. What comes behind the first bad
 * entry is not looked at: the broker does not believe it either.
 */
export class IndexCheck {
  readonly #entries: Iterator<WalkedEntry, void>;
  readonly #findings: FileFindings;
  #next: WalkedEntry | undefined;

  constructor(
    private readonly file: FileReader,
    baseOffset: number,
    /** Of a segment that was appended to when the broker was stopped uncleanly it may be anything. */
    private readonly severity: 'damage' | 'note',
    report: Report,
  ) {
    this.#findings = new FileFindings(file.path, report);
    this.#entries = walkEntries(file, baseOffset);
    this.#advance();
  }

  /**
   * A batch starts at `position`.
   * @param baseOffset undefined where that batch is damaged.
   * @param maxTimestampMs of all batches before it; undefined where one of those is damaged.
   */
  batch(
    baseOffset: number | undefined,
    position: number,
    maxTimestampMs: number | undefined,
  ): void {
    const { entry } = this.#next ?? {};
    if (entry === undefined || entry.position > position) return;
    if (entry.position < position) {
      this.#fail(`the entry points to byte ${entry.position}, where no batch starts`);
    } else if (baseOffset !== undefined && entry.offset !== baseOffset) {
      this.#fail(`the entry says offset ${entry.offset}, the batch there has ${baseOffset}`);
    } else if (maxTimestampMs !== undefined && entry.maxTimestampMs !== maxTimestampMs) {
      this.#fail(
        `the entry says that no timestamp before it is beyond ${entry.maxTimestampMs}, but it is ` +
          String(maxTimestampMs),
      );
    } else {
      this.#advance();
    }
  }

  /** The data ends at `position`. */
  end(position: number): void {
    const { entry } = this.#next ?? {};
    if (entry === undefined) return;
    this.#fail(`the entry points to byte ${entry.position}, but the data ends at ${position}`);
  }

  close(): void {
    this.#findings.end();
    this.file.close();
  }

  #advance(): void {
    const step = this.#entries.next();
    this.#next = step.done === true ? undefined : step.value;
    if (this.#next?.problem !== undefined) this.#fail(this.#next.problem);
  }

  #fail(problem: string): void {
    const position = this.#next?.position ?? 0;
    this.#next = undefined;
    this.#findings.add({
      ...{ severity: this.severity, kind: 'index', position, problem, advice: ADVICE },
    });
  }
}
