/* Draws the page of a report from the data within it. Chart.js is on the page before this. */
/* global Chart, document, matchMedia, getComputedStyle */
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const page = document.getElementById('page');
  const root = document.documentElement;
  const charts = [];
  const drawers = [];

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const seriesColors = () => style('--series').split(' ');
  const dashes = [[], [7, 3], [2, 3], [9, 3, 2, 3], [12, 3, 2, 3, 2, 3]];

  function micros(value) {
    if (value >= 1e6) return `${value / 1e6} s`;
    if (value >= 1e3) return `${value / 1e3} ms`;
    return `${value} µs`;
  }

  const short = (value) => Number(value.toPrecision(3)).toLocaleString('en-US');

  /** Options that all charts share; made anew for each theme. */
  function common(xTitle, yTitle) {
    const grid = { color: style('--rule') };
    const ticks = { color: style('--faint') };
    const title = (text) => ({ display: true, text, color: style('--faint') });
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      interaction: { mode: 'nearest', axis: 'x', intersect: false },
      plugins: {
        legend: {
          position: 'bottom',
          labels: { color: style('--ink'), boxWidth: 24, boxHeight: 2, padding: 8 },
        },
      },
      scales: {
        x: { grid, ticks: { ...ticks }, title: title(xTitle) },
        y: { grid, ticks: { ...ticks }, title: title(yTitle) },
      },
    };
  }

  function figure(title, draw) {
    const canvas = element('canvas', { role: 'img', 'aria-label': title });
    drawers.push(() => charts.push(new Chart(canvas, draw())));
    const plot = element('div', { class: 'plot' }, canvas);
    return element('figure', {}, element('figcaption', {}, title), plot);
  }

  function lines(series) {
    const colors = seriesColors();
    return series.map(({ name, points }, index) => ({
      label: name,
      data: points.map(([x, y]) => ({ x, y })),
      borderColor: colors[index % colors.length],
      backgroundColor: colors[index % colors.length],
      borderDash: dashes[Math.floor(index / 2) % dashes.length],
      borderWidth: 2,
      pointRadius: points.length === 1 ? 4 : 0,
      pointHitRadius: 8,
    }));
  }

  function throughputChart(series) {
    return figure('Throughput over time (the median round)', () => {
      const options = common('seconds', 'MiB/s');
      options.scales.x.type = 'linear';
      options.scales.y.beginAtZero = true;
      options.plugins.tooltip = {
        callbacks: {
          title: ([item]) => `${short(item.parsed.x)} s`,
          label: ({ dataset, parsed }) => `${dataset.label}: ${short(parsed.y)} MiB/s`,
        },
      };
      return { type: 'line', data: { datasets: lines(series) }, options };
    });
  }

  /** Percentiles are spread so that each further nine takes the same room. */
  const rarity = (percentile) => 100 / (100 - percentile);
  const percentiles = [50, 90, 99, 99.9, 99.99, 99.999];

  function latencyChart(kind, series) {
    const title = `Latency by percentile: ${kind}`;
    return figure(title, () => {
      const options = common('percentile', 'latency');
      const { x, y } = options.scales;
      x.type = 'logarithmic';
      x.min = 2;
      x.max = rarity(99.9995);
      x.afterBuildTicks = (axis) => {
        axis.ticks = percentiles.map((value) => ({ value: rarity(value) }));
      };
      x.ticks.callback = (value) => `${Number((100 - 100 / value).toFixed(3))}`;
      x.ticks.autoSkip = false;
      x.ticks.maxRotation = 0;
      y.type = 'logarithmic';
      y.afterBuildTicks = (axis) => {
        axis.ticks = axis.ticks.filter(({ value }) => /^[125]0*$|^0\.0*[125]$/.test(String(value)));
      };
      y.ticks.callback = (value) => micros(value);
      y.ticks.autoSkip = true;
      options.plugins.tooltip = {
        callbacks: {
          title: ([item]) => `p${Number((100 - 100 / item.parsed.x).toFixed(4))}`,
          label: ({ dataset, parsed }) =>
            `${dataset.label}: ${micros(Number(parsed.y.toPrecision(3)))}`,
        },
      };
      const spread = series.map(({ name, points }) => ({
        name,
        points: points.map(([percentile, us]) => [rarity(percentile), Math.max(us, 1)]),
      }));
      return { type: 'line', data: { datasets: lines(spread) }, options };
    });
  }

  function cpuChart(bars) {
    const made = figure('Broker CPU, seconds per GiB moved (medians)', () => {
      const options = common('CPU s/GiB', '');
      options.indexAxis = 'y';
      options.interaction = { mode: 'index', axis: 'y', intersect: false };
      options.scales.x.stacked = true;
      options.scales.x.beginAtZero = true;
      options.scales.y.stacked = true;
      options.scales.y.title.display = false;
      options.scales.y.grid = { display: false };
      options.scales.y.ticks.color = style('--ink');
      options.scales.y.ticks.autoSkip = false;
      options.plugins.legend.labels.boxHeight = 10;
      const part = (label, key, color) => ({
        label,
        data: bars.map((bar) => bar[key].median),
        spreads: bars.map((bar) => bar[key]),
        backgroundColor: style(color),
        maxBarThickness: 26,
      });
      options.plugins.tooltip = {
        callbacks: {
          label: ({ dataset, dataIndex }) => {
            const { median, min, max } = dataset.spreads[dataIndex];
            return `${dataset.label}: ${short(median)} (${short(min)}–${short(max)})`;
          },
        },
      };
      const datasets = [part('user', 'user', '--user'), part('system', 'system', '--system')];
      return {
        type: 'bar',
        data: { labels: bars.map(({ name }) => wrap(name)), datasets },
        options,
      };
    });
    made.querySelector('.plot').style.height = `${Math.max(220, 110 + 34 * bars.length)}px`;
    return made;
  }

  /** Long names of cells go on several lines. */
  const wrap = (name) => (name.length <= 18 ? name : name.match(/.{1,20}(\s|$)|\S+?(\s|$)/g));

  function tableOf({ title, head, rows, verdict }) {
    const line = (cells, tag) => element('tr', {}, ...cells.map((text) => element(tag, {}, text)));
    const table = element(
      'table',
      {},
      element('thead', {}, line(head, 'th')),
      element('tbody', {}, ...rows.map((row) => line(row, 'td'))),
    );
    const parts = [element('h3', {}, title), element('div', { class: 'scroll' }, table)];
    if (verdict) parts.push(element('p', { class: 'verdict' }, `Beyond the noise: ${verdict}`));
    return parts;
  }

  function runOf({ label, facts, notes }) {
    const list = facts.flatMap(([name, value]) => [
      element('dt', {}, name),
      element('dd', {}, value),
    ]);
    const run = element('section', { class: 'run' }, element('h3', {}, label));
    run.append(element('dl', {}, ...list));
    if (notes.length > 0) {
      const items = notes.map((note) => element('li', {}, note));
      run.append(element('ul', { class: 'notes' }, ...items));
    }
    return run;
  }

  function draw() {
    for (const chart of charts.splice(0)) chart.destroy();
    for (const drawer of drawers) drawer();
  }

  function setTheme(theme) {
    root.dataset.theme = theme;
    button.textContent = theme === 'dark' ? 'Light' : 'Dark';
    draw();
  }

  const button = element('button', { type: 'button', 'aria-label': 'Switch the theme' });
  button.addEventListener('click', () => {
    setTheme(root.dataset.theme === 'dark' ? 'light' : 'dark');
  });
  page.append(element('header', {}, element('h1', {}, data.title), button));
  page.append(element('div', { class: 'runs' }, ...data.runs.map(runOf)));
  for (const table of data.classic) page.append(...tableOf(table));
  for (const phase of data.phases) {
    page.append(element('h2', {}, phase.title));
    const figures = [];
    if (phase.cpu.length > 0) figures.push(cpuChart(phase.cpu));
    if (phase.throughput.length > 0) figures.push(throughputChart(phase.throughput));
    for (const { title, lines: series } of phase.latency) figures.push(latencyChart(title, series));
    page.append(element('div', { class: 'charts' }, ...figures));
    for (const table of phase.tables) page.append(...tableOf(table));
  }
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', () => setTheme(dark.matches ? 'dark' : 'light'));
  setTheme(dark.matches ? 'dark' : 'light');
})();
