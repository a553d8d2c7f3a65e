import type { LatencySummary } from '../load/latency.js';
import type { Flow, Measurement } from '../results/schema.js';
import { formatBytes, formatMicros, significant } from '../util/units.js';

/** A measurement for people, on a few lines. */
export function summaryLines(measurement: Measurement): readonly string[] {
  const { consumed, generator, missing, produced } = measurement;
  const lines: string[] = [];
  if (produced !== undefined) lines.push(flowLine('in ', produced));
  if (consumed !== undefined) lines.push(flowLine('out', consumed));
  lines.push(...latencyLines(measurement));
  for (const flow of [produced, consumed]) {
    if (flow !== undefined && flow.errors > 0) {
      lines.push(`${flow.errors} failed: ${flow.firstError ?? ''}`);
    }
  }
  if (missing !== undefined && missing > 0) {
    lines.push(`${missing} acknowledged messages were not received in time`);
  }
  if (generator.limit !== undefined) lines.push(`note: ${generator.limit}`);
  return lines;
}

/** Its latencies alone, a line each. */
export function latencyLines({ latencies }: Measurement): readonly string[] {
  const line = (name: string, summary: LatencySummary | undefined): string[] =>
    summary === undefined ? [] : [`${name.padEnd(14)} ${latencyText(summary)}`];
  return [
    ...line('publish', latencies.publish),
    ...line('publish delay', latencies.publishDelay),
    ...line('end to end', latencies.endToEnd),
  ];
}

function flowLine(name: string, { bytes, messages, seconds }: Flow): string {
  const rate = `${significant(messages / seconds)} msg/s, ${formatBytes(bytes / seconds)}/s`;
  const total = `${messages.toLocaleString('en-US')} messages, ${formatBytes(bytes)}`;
  return `${name}            ${rate} (${total} in ${seconds.toFixed(2)} s)`;
}

function latencyText({ p50Us, p90Us, p99Us, p999Us, p9999Us, maxUs }: LatencySummary): string {
  const parts = { p50: p50Us, p90: p90Us, p99: p99Us, 'p99.9': p999Us, 'p99.99': p9999Us };
  const texts = Object.entries(parts).map(([name, us]) => `${name} ${formatMicros(us)}`);
  return `${texts.join('  ')}  max ${formatMicros(maxUs)}`;
}

/** Columns lined up; the first left, the others right. */
export function tableLines(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((text, column) =>
        column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
