import { perGib, measurementsOf, spreadOver } from '../results/cell-figures.js';
import { deviceName } from '../results/classic-table.js';
import type { Cell, ClassicRow, Measurement } from '../results/schema.js';
import { spreadOf } from '../util/stats.js';
import type { DeviceState } from './network.js';

/** The ways of the classic table, and the serve strategies that go them. */
export const ways = [
  { way: 'read+write', serve: 'copy', switches: 4, copies: 4, cpuCopies: 2 },
  { way: 'mmap+write', serve: 'mmap', switches: 4, copies: 3, cpuCopies: 1 },
  { way: 'sendfile', serve: 'sendfile', switches: 2, copies: 2, cpuCopies: 0 },
] as const;

export type Way = (typeof ways)[number];

/** One field of the matrix. `device` undefined: loopback, which has none to set. */
export interface MatrixField {
  readonly way: Way;
  readonly device: DeviceState | undefined;
  readonly chunkBytes: number;
}

/** With scatter-gather and without, where nothing else differs; and as a network card is. */
const devices: readonly DeviceState[] = [
  { scatterGather: true, segmentationOffload: false },
  { scatterGather: false, segmentationOffload: false },
  { scatterGather: true, segmentationOffload: true },
];

/** Every way, on every device where they can be had, at every size of a fetch. */
export function matrix(veth: boolean, chunkSizes: readonly number[]): readonly MatrixField[] {
  const states = veth ? devices : [undefined];
  return chunkSizes.flatMap((chunkBytes) =>
    ways.flatMap((way) => states.map((device) => ({ way, device, chunkBytes }))),
  );
}

export function fieldName({ chunkBytes, device, way }: MatrixField): string {
  const state = device === undefined ? '' : `, ${deviceName(device)}`;
  return `${way.way}${state}, ${chunkBytes / 1024} KiB`;
}

/** Why a row of the classic table cannot be measured without namespaces. */
const LOOPBACK_OPEN =
  'loopback has no device whose scatter-gather could be switched, and its receiver copies from the ' +
  'very pages that the sender handed over: run as root, with iproute2 and ethtool';

/** The rows for the fields, with what was measured of each. */
export function classicRows(fields: readonly MatrixField[], cells: readonly Cell[]): ClassicRow[] {
  const rows = fields.map((field): ClassicRow => {
    const { chunkBytes, device, way } = field;
    const scatterGather = device?.scatterGather;
    const isCard = device?.segmentationOffload === true;
    const cell = cells.find(({ name }) => name === fieldName(field));
    // Without scatter-gather the kernel makes each packet one piece of memory, whichever the way; the
    // sendfile that the classic table has beside that with DMA is the one that does.
    const classicThird = way.way === 'sendfile' && scatterGather === undefined;
    const extra = scatterGather === false || classicThird ? 1 : 0;
    return {
      ...{ way: way.way, scatterGather, ...(isCard && { segmentationOffload: true }), chunkBytes },
      theory: {
        switches: way.switches,
        copies: way.copies + extra,
        cpuCopies: way.cpuCopies + extra,
      },
      measured: cell === undefined ? undefined : measuredOf(cell),
    };
  });
  if (fields.some(({ device }) => device !== undefined)) return rows;
  const theory = { switches: 2, copies: 2, cpuCopies: 0 };
  const way = 'sendfile with scatter-gather DMA';
  const chunkBytes = fields[0]?.chunkBytes ?? 0;
  return [...rows, { way, scatterGather: undefined, chunkBytes, theory, open: LOOPBACK_OPEN }];
}

function measuredOf(cell: Cell): ClassicRow['measured'] {
  const measurements = measurementsOf(cell, 'consume');
  const cpu = spreadOver(
    measurements,
    perGib((cost) => cost.cpuUserSeconds + cost.cpuSystemSeconds),
  );
  const switches = spreadOf(measurements.map(switchesPerTransfer));
  const copies = spreadOf(measurements.map(copiesPerByte));
  if (cpu === undefined || switches === undefined || copies === undefined) return undefined;
  return {
    switches: switches.median,
    countedCopies: copies.median,
    cpuSecondsPerGib: cpu.median,
    cpuSecondsPerGibMin: cpu.min,
    cpuSecondsPerGibMax: cpu.max,
    rounds: cpu.count,
  };
}

/** Calls that serve a region, by those of them that hand bytes to the socket; two switches each. */
export function switchesPerTransfer({ cost }: Measurement): number {
  const calls = (kind: string): number => cost?.syscalls[kind] ?? 0;
  const transfers = calls('sendfile') + calls('send');
  const all = transfers + calls('pread') + calls('mmap') + calls('munmap');
  return (2 * all) / transfers;
}

/** How often a served byte was copied between user space and the kernel. */
export function copiesPerByte({ cost }: Measurement): number {
  const bytes = (kind: string): number => cost?.syscallBytes[kind] ?? 0;
  return (bytes('pread') + bytes('send')) / (bytes('sendfile') + bytes('send'));
}
