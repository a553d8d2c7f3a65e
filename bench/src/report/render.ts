import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pageData } from './page-data.js';
import type { LabelledResult } from './page-data.js';

export type { LabelledResult } from './page-data.js';

const page = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../page/${name}`, import.meta.url)), 'utf8');

/** Chart.js, as its package carries it for pages without a bundler. */
function chartLibrary(): string {
  const entry = createRequire(import.meta.url).resolve('chart.js');
  return readFileSync(join(dirname(entry), 'chart.umd.min.js'), 'utf8');
}

/** The page that shows results: whole in one file, readable without network. */
export function renderReport(results: readonly LabelledResult[]): string {
  const data = pageData(results);
  // Within a script element nothing may look like its end, or like a comment.
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  const script = (code: string): string => code.replaceAll('</script', '<\\/script');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(data.title)}</title>
<style>
${page('page.css')}</style>
</head>
<body>
<main id="page"></main>
<noscript>The charts of this page need JavaScript; the figures are in the JSON file beside it.</noscript>
<script>${script(chartLibrary().replace(/\n\/\/# sourceMappingURL.*/, ''))}</script>
<script type="application/json" id="data">${json}</script>
<script>
${script(page('page.js'))}</script>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
