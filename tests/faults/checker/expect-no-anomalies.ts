import { checkHistory, type HistoryFindings } from './check-history.js';
import { explain } from './explain.js';
import type { History } from './history.js';

/** @throws Error that tells of each anomaly, with the history around it */
export function expectNoAnomalies(history: History): HistoryFindings {
  const findings = checkHistory(history);
  if (findings.anomalies.length === 0) return findings;
  const told = findings.anomalies.map((anomaly) => explain(history, anomaly));
  throw new Error(`${findings.anomalies.length} anomalies:\n${told.join('\n')}`);
}
