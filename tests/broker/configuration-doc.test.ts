import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { configTable } from '../../broker/src/config-table.js';
import { describeTopicConfigKeys } from '../../broker/src/topics/topic-config.js';
import { defaultStorageConfig } from '../../broker/src/storage/storage-config.js';

const path = new URL('../../docs/configuration.md', import.meta.url);

const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  return `<!-- prettier-ignore -->\n${lines.join('\n')}`;
}

function brokerTable(): string {
  const rows = Object.entries(configTable).map(([key, { defaultValue, expected, doc }]) => [
    `\`${key}\``,
    defaultValue === undefined || defaultValue === '' ? '' : `\`${String(defaultValue)}\``,
    cell(expected),
    cell(doc),
  ]);
  return table(['key', 'default', 'takes', 'what for'], rows);
}

function topicTable(): string {
  const rows = describeTopicConfigKeys().map(({ key, field, takes }) => [
    `\`${key}\``,
    `\`${field}\` (${defaultStorageConfig[field]})`,
    takes,
  ]);
  return table(['key', "default: the broker's", 'takes'], rows);
}

// Rewrite the tables with MILLRACE_UPDATE_DOCS=1.
test('docs/configuration.md lists every setting as it is', async () => {
  const before = await readFile(path, 'utf8');
  const after = before
    .replace(/(?<=<!-- broker -->\n\n)[^]*?(?=\n\n<!-- end -->)/, brokerTable())
    .replace(/(?<=<!-- topic -->\n\n)[^]*?(?=\n\n<!-- end -->)/, topicTable());
  if (process.env['MILLRACE_UPDATE_DOCS'] !== undefined) await writeFile(path, after);
  else expect(before).toBe(after);
});
