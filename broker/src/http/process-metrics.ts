import { one } from './metric.js';
import type { Define } from './metric.js';

/** Of libuv, since Node 20.18; types of older versions lack it. */
interface LoopMetrics {
  readonly uvMetricsInfo?: { readonly loopCount: number };
}

/** What the whole process used, all of its threads. */
export function defineProcess(define: Define): void {
  define('gauge', 'resident_memory_bytes', 'Resident memory of the process.', () =>
    one(process.memoryUsage.rss()),
  );
  define('counter', 'cpu_seconds_total', 'CPU time of the process.', () => {
    const { user, system } = process.cpuUsage();
    return [
      { labels: { mode: 'user' }, value: user / 1e6 },
      { labels: { mode: 'system' }, value: system / 1e6 },
    ];
  });
  define('counter', 'page_faults_total', 'Page faults; the major ones waited for a disk.', () => {
    const { majorPageFault, minorPageFault } = process.resourceUsage();
    return [
      { labels: { kind: 'minor' }, value: minorPageFault },
      { labels: { kind: 'major' }, value: majorPageFault },
    ];
  });
  define('counter', 'context_switches_total', 'Times that the scheduler took a core away.', () => {
    const { involuntaryContextSwitches, voluntaryContextSwitches } = process.resourceUsage();
    return [
      { labels: { kind: 'voluntary' }, value: voluntaryContextSwitches },
      { labels: { kind: 'involuntary' }, value: involuntaryContextSwitches },
    ];
  });
  define(
    'counter',
    'event_loop_iterations_total',
    'Turns of the event loop: epoll_wait(2).',
    () => {
      const { uvMetricsInfo } = performance.nodeTiming as LoopMetrics;
      return uvMetricsInfo === undefined ? [] : one(uvMetricsInfo.loopCount);
    },
  );
}
