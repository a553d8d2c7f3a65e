import type { ResultFile } from './schema.js';

const columns = [
  'cell',
  'round',
  'phase',
  'producedMessages',
  'producedBytes',
  'producedSeconds',
  'consumedMessages',
  'consumedBytes',
  'consumedSeconds',
  'errors',
  'publishP50Us',
  'publishP99Us',
  'publishMaxUs',
  'endToEndP50Us',
  'endToEndP99Us',
  'endToEndMaxUs',
  'costBytes',
  'cpuUserSeconds',
  'cpuSystemSeconds',
  'modeSwitches',
  'userCopiedBytes',
  'crossedBytes',
  'minorFaults',
  'majorFaults',
  'rssBytes',
] as const;

/** A line for each cell, round and phase, under a line of names. */
export function toCsv({ cells }: ResultFile): string {
  const lines: string[] = [columns.join(',')];
  for (const cell of cells) {
    for (const [round, measurements] of cell.rounds.entries()) {
      for (const { consumed, cost, latencies, phase, produced } of measurements) {
        const { endToEnd, publish } = latencies;
        lines.push(
          [
            ...[quoted(cell.name), round + 1, phase],
            ...[produced?.messages, produced?.bytes, produced?.seconds],
            ...[consumed?.messages, consumed?.bytes, consumed?.seconds],
            (produced?.errors ?? 0) + (consumed?.errors ?? 0),
            ...[publish?.p50Us, publish?.p99Us, publish?.maxUs],
            ...[endToEnd?.p50Us, endToEnd?.p99Us, endToEnd?.maxUs],
            ...[cost?.bytes, cost?.cpuUserSeconds, cost?.cpuSystemSeconds, cost?.modeSwitches],
            ...[cost?.userCopiedBytes, cost?.crossedBytes, cost?.minorFaults, cost?.majorFaults],
            cost?.rssBytes,
          ].join(','),
        );
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
