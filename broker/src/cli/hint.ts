/** Where a client looks when it is told nothing. */
const DEFAULT_BROKER = '127.0.0.1:7070';

/** How to send and to read the first message, for somebody who just started a broker. */
export function firstSteps(address: string): string {
  const broker = address === DEFAULT_BROKER ? '' : ` --broker ${address}`;
  return [
    '',
    `millrace is ready on ${address}. In another terminal:`,
    '',
    `  npx millrace${broker} topic create hello --partitions 1`,
    `  echo 'hello, world' | npx millrace${broker} produce hello`,
    `  npx millrace${broker} consume hello --from beginning --exit-at-end`,
    '',
    'Ctrl-C stops the broker.',
    '',
    '',
  ].join('\n');
}
