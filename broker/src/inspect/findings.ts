/** What a finding is about; a repair would go by it. */
export type FindingKind =
  | 'meta'
  | 'producer-ids'
  | 'topic-file'
  | 'partition-directory'
  | 'checkpoint'
  | 'epochs'
  | 'compaction'
  | 'producers'
  | 'noticed'
  | 'segment-missing'
  | 'segment-short'
  | 'segment-extra'
  | 'batch'
  | 'tail'
  | 'index'
  | 'leftover';

/** One thing that is not as it should be, or worth knowing. */
export interface Finding {
  /** `note`: the broker deals with it by itself, and nothing that was acknowledged is lost. */
  readonly severity: 'damage' | 'note';
  readonly kind: FindingKind;
  readonly path: string;
  /** Byte in the file, where there is one. */
  readonly position?: number;
  readonly problem: string;
  /** What to do, or what the broker will. */
  readonly advice: string;
}

/** Where findings go. */
export type Report = (finding: Finding) => void;

/** Findings of one file that are told one by one; of more only the number is. */
const MAX_FINDINGS_PER_FILE = 20;

/** What to do about data that only another copy still has. */
export const RESTORE =
  'restore the partition directory from a backup, or see by --repair what can be kept';

/** What to do about a small file that can be made again from the log. */
export const REPAIR = 'restore the partition directory from a backup, or make it anew by --repair';

/** Passes on the first findings of each kind of one file, and then how many more there were. */
export class FileFindings {
  #damaged = 0;
  readonly #counts = new Map<FindingKind, number>();

  constructor(
    private readonly path: string,
    private readonly report: Report,
  ) {}

  /** True once there was damage. */
  get isDamaged(): boolean {
    return this.#damaged > 0;
  }

  add(finding: Omit<Finding, 'path'>): void {
    if (finding.severity === 'damage') this.#damaged += 1;
    const count = (this.#counts.get(finding.kind) ?? 0) + 1;
    this.#counts.set(finding.kind, count);
    if (count <= MAX_FINDINGS_PER_FILE) this.report({ ...finding, path: this.path });
  }

  /** To be called when the file was looked through. */
  end(): void {
    for (const [kind, count] of this.#counts) {
      const more = count - MAX_FINDINGS_PER_FILE;
      if (more <= 0) continue;
      const problem = `${more} more findings of this kind`;
      this.report({ severity: 'note', kind, path: this.path, problem, advice: 'see those before' });
    }
  }
}
