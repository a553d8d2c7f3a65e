import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeliveredRun, Tenure } from '../../support/group-history.js';

/** An owner that gave a partition up this shortly before it was harmed may not have committed. */
const COMMIT_GRACE_MS = 2_000;

type Line = { readonly atMs: number } & (
  | {
      readonly type: 'assigned';
      readonly generation: number;
      readonly starts: readonly (readonly [partition: number, offset: number])[];
    }
  | { readonly type: 'revoked' | 'lost'; readonly partitions: readonly number[] }
  | ({ readonly type: 'delivered'; readonly partition: number } & DeliveredRun)
  | { readonly type: 'joined'; readonly memberId: string }
  | { readonly type: 'wrong' | 'failed'; readonly [key: string]: unknown }
  | { readonly type: 'refused' | 'retry' | 'warning'; readonly error: string }
  | { readonly type: 'closed' }
);

/** What the members of a group have logged. */
export interface MemberLogs {
  readonly tenures: readonly Tenure[];
  /** What no member may tell: messages at the wrong place, iterations that failed. */
  readonly faults: readonly string[];
  /** How often a commit was refused because the partition had gone. */
  readonly refused: number;
  /** How often a member found itself thrown out. */
  readonly lost: number;
}

interface OpenTenure extends Omit<Tenure, 'endedAtMs' | 'broken' | 'delivered'> {
  /** The member's last sign of life before the assignment: it may have been stopped while it joined. */
  readonly aliveAtMs: number;
  readonly delivered: DeliveredRun[];
}

/** @param harmedAtMs when the process of a member was stopped or killed */
export async function readMemberLogs(
  directory: string,
  harmedAtMs: (member: string) => readonly number[],
): Promise<MemberLogs> {
  const found = { tenures: [] as Tenure[], faults: [] as string[], refused: 0, lost: 0 };
  for (const file of await readdir(directory)) {
    const name = file.replace(/\.jsonl$/, '');
    const lines = await readLines(join(directory, file));
    readMember(name, lines, harmedAtMs(name), found);
  }
  return found;
}

/** The last line may have been cut by a kill. */
async function readLines(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

function readMember(
  name: string,
  lines: readonly Line[],
  harmedAtMs: readonly number[],
  found: { tenures: Tenure[]; faults: string[]; refused: number; lost: number },
): void {
  const open = new Map<number, OpenTenure>();
  const lost = new Map<number, OpenTenure>();
  let aliveAtMs = -Infinity;
  const end = (tenure: OpenTenure, endedAtMs: number | undefined, thrownOut: boolean): void => {
    open.delete(tenure.partition);
    const until = (endedAtMs ?? Infinity) + COMMIT_GRACE_MS;
    const harmed = harmedAtMs.some((atMs) => atMs >= tenure.aliveAtMs && atMs <= until);
    found.tenures.push({ ...tenure, endedAtMs, broken: thrownOut || harmed });
  };
  for (const [index, line] of lines.entries()) {
    if (line.type === 'assigned') {
      for (const [partition, startOffset] of line.starts) {
        if (open.has(partition)) found.faults.push(`${name}: assigned twice, ${partition}`);
        const { generation, atMs: assignedAtMs } = line;
        const tenure = {
          member: name,
          partition,
          generation,
          startOffset,
          assignedAtMs,
          aliveAtMs,
        };
        open.set(partition, { ...tenure, delivered: [] });
      }
    } else if (line.type === 'delivered') {
      // What was on its way to the application when the group threw it out comes behind that.
      const tenure = open.get(line.partition) ?? lost.get(line.partition);
      lost.delete(line.partition);
      if (tenure !== undefined) tenure.delivered.push(line);
      else {
        const around = JSON.stringify(lines.slice(Math.max(0, index - 3), index + 2));
        found.faults.push(`${name}: delivered what it does not own, the last but one of ${around}`);
      }
    } else if (line.type === 'revoked' || line.type === 'lost') {
      if (line.type === 'lost') found.lost += 1;
      for (const partition of line.partitions) {
        const tenure = open.get(partition);
        if (tenure === undefined) found.faults.push(`${name}: ${line.type} unowned, ${partition}`);
        else {
          end(tenure, line.atMs, line.type === 'lost');
          if (line.type === 'lost') lost.set(partition, tenure);
        }
      }
    } else if (line.type === 'wrong' || line.type === 'failed') {
      found.faults.push(`${name}: ${JSON.stringify(line)}`);
    } else if (line.type === 'refused' || line.type === 'retry' || line.type === 'warning') {
      if (line.error.includes("is not this consumer's any more")) found.refused += 1;
      continue; // It may tell of that when it wakes up, before it knows of its group.
    }
    aliveAtMs = line.atMs;
  }
  for (const tenure of open.values()) end(tenure, undefined, false);
}
