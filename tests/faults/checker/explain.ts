import type { Anomaly } from './anomaly.js';
import type { History } from './history.js';

/** How many records and messages on each side of an anomaly are told of. */
const AROUND = 4;

/** The history around an anomaly: who saw what at its offsets, what was acknowledged there, outages. */
export function explain(history: History, { partition, offset, text }: Anomaly): string {
  const near = history.logs
    .filter((log) => log.partition === partition)
    .flatMap(({ records }) => {
      const at = records.findIndex((record) => record.offset >= offset);
      const middle = at < 0 ? records.length : at;
      return records.slice(Math.max(0, middle - AROUND), middle + AROUND + 1);
    })
    .map((record) => record.offset);
  const from = Math.min(offset, ...near);
  const to = Math.max(offset, ...near);
  const events: { readonly at: number; readonly line: string }[] = [];
  for (const { name, acks, sent } of history.producers) {
    for (const [sequence, message] of sent.entries()) {
      if (message.partition !== partition || message.offset < from || message.offset > to) continue;
      const what = `${name} (acks ${acks}) #${sequence}`;
      events.push({ at: message.sentAt, line: `${what} is sent` });
      const line = `${what} is acknowledged at ${message.offset}`;
      events.push({ at: message.acknowledgedAt, line });
    }
  }
  const passes = history.readings.filter((reading) => reading.partition === partition);
  const logs = history.logs.filter((log) => log.partition === partition);
  for (const { reader, records } of [
    ...passes,
    ...logs.map((log) => ({ ...log, reader: 'the log' })),
  ]) {
    for (const record of records) {
      if (record.offset < from || record.offset > to) continue;
      const { producer, sequence, problem, readAt: at } = record;
      const what = problem ?? `${producer} #${sequence}`;
      events.push({ at, line: `${reader} got ${what} at ${record.offset}` });
    }
  }
  for (const { kind, downAt, upAt } of history.outages) {
    events.push({ at: downAt, line: `--- ${kind} ---` }, { at: upAt, line: `--- up again ---` });
  }
  const begin = history.outages[0]?.downAt ?? 0;
  const lines = events
    .sort((a, b) => a.at - b.at)
    .map(({ at, line }) => `  ${((at - begin) / 1_000).toFixed(4)} s: ${line}`);
  const ends = logs.map((log) => `  the log reaches from ${log.startOffset} to ${log.endOffset}`);
  return [text, ...ends, ...withoutRuns(lines)].join('\n');
}

/** Of outages in a row, with nothing near the anomaly in between, the first and the last. */
function withoutRuns(lines: readonly string[]): string[] {
  return lines.filter((line, index) => {
    const isOutage = (text: string | undefined): boolean => text?.endsWith(' ---') ?? true;
    return !isOutage(line) || !isOutage(lines[index - 1]) || !isOutage(lines[index + 1]);
  });
}
