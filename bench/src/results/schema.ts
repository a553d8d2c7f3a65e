import type { LatencySummary } from '../load/latency.js';
import type { LoadLimit, LoadSpec } from '../load/spec.js';

/** Changes when a reader of the old form would misread the new one. */
export const RESULT_SCHEMA = 'millrace-bench/1';

/** The last two: by a plain sender and receiver in C, of brokers and of plain C loops alike. */
export type PhaseName =
  'produce' | 'consume' | 'consume-cold' | 'e2e' | 'reference-in' | 'reference-out';

/** What went in one direction. */
export interface Flow {
  readonly messages: number;
  /** Bytes of values, without keys, framing or compression. */
  readonly bytes: number;
  readonly seconds: number;
  readonly errors: number;
  readonly firstError?: string | undefined;
}

/** What happened around one time; a part of a second, or several in long runs. */
export interface SeriesPoint {
  /** Seconds since the phase began, at the end of this part. */
  readonly atS: number;
  readonly producedPerSecond: number;
  readonly consumedPerSecond: number;
  readonly producedBytesPerSecond: number;
  readonly consumedBytesPerSecond: number;
  /** End-to-end where it is measured, else publish latency; of the worst worker. Microseconds. */
  readonly p99Us: number;
}

/** What a phase cost the broker's process: all of its threads, from before it to after it. */
export interface BrokerCost {
  /** Bytes of record batches that it took and gave out: what the figures are told per GiB of. */
  readonly bytes: number;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** System calls by kind; what is not in here is in {@link uncountedSyscalls}. */
  readonly syscalls: Readonly<Record<string, number>>;
  /** Bytes by kind of system call. */
  readonly syscallBytes: Readonly<Record<string, number>>;
  /** Bytes copied in user space, by where. */
  readonly userCopiedBytes: number;
  /** Bytes that were copied between user space and the kernel. */
  readonly crossedBytes: number;
  /** Two for each counted system call. */
  readonly modeSwitches: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** When the phase was over. */
  readonly rssBytes: number;
}

/** One load on one broker. */
export interface Measurement {
  readonly phase: PhaseName;
  readonly produced?: Flow | undefined;
  readonly consumed?: Flow | undefined;
  /** Messages that were acknowledged and did not come, where both sides were measured. */
  readonly missing?: number | undefined;
  readonly latencies: {
    /** From when a message was to be sent to its acknowledgement. */
    readonly publish?: LatencySummary | undefined;
    /** From when a message was to be sent to when it was. */
    readonly publishDelay?: LatencySummary | undefined;
    /** From when a message was to be sent to when a consumer had it. */
    readonly endToEnd?: LatencySummary | undefined;
  };
  readonly series: readonly SeriesPoint[];
  readonly generator: {
    /** Share of the time that the busiest worker's event loop was busy. */
    readonly busiest: number;
    readonly cpuSeconds: number;
    /** Why the figures are the generator's or the machine's rather than the broker's. */
    readonly limit?: string | undefined;
  };
  readonly cost?: BrokerCost | undefined;
  /** Cold: what of the segments was in the page cache when it began, and was then read from disk. */
  readonly cold?: { readonly residentBytes: number; readonly totalBytes: number } | undefined;
}

/** One contender: a broker in one mode, or another product, through all rounds. */
export interface Cell {
  readonly name: string;
  /** What it is, for people: `persist=mmap serve=sendfile`, or what an acknowledgement means. */
  readonly about: string;
  /** A plain C loop, no broker: what this machine can do. */
  readonly reference?: boolean | undefined;
  /** By round, then by phase. */
  readonly rounds: readonly (readonly Measurement[])[];
}

/** What was measured on; everything that explains a figure but the load itself. */
export interface Environment {
  readonly host: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly node: string;
  /** Filesystem and device of the data directory, where the broker was started here. */
  readonly filesystem?: string | undefined;
  /** Of the checkout, with `+` when it had changes; undefined outside of one. */
  readonly commit?: string | undefined;
  readonly container: boolean;
}

/** A row of the classic table: theory beside measurement. */
export interface ClassicRow {
  readonly way: string;
  /** Undefined: on loopback. */
  readonly scatterGather: boolean | undefined;
  /** With segmentation offload and the MTU of Ethernet, as a network card has them. Default: without. */
  readonly segmentationOffload?: boolean | undefined;
  readonly chunkBytes: number;
  readonly theory: {
    readonly switches: number;
    readonly copies: number;
    readonly cpuCopies: number;
  };
  /** Undefined where it was not measured; then `open` says why. */
  readonly measured?:
    | {
        /** Mode switches per transfer: one call that moved bytes to the socket. */
        readonly switches: number;
        /** Copies of each byte by system calls, between user space and kernel. */
        readonly countedCopies: number;
        /** Copies of each byte within the kernel, counted by a probe; undefined without one. */
        readonly kernelCopies?: number | undefined;
        readonly cpuSecondsPerGib: number;
        readonly cpuSecondsPerGibMin: number;
        readonly cpuSecondsPerGibMax: number;
        readonly rounds: number;
      }
    | undefined;
  readonly open?: string | undefined;
}

/** A result file. */
export interface ResultFile {
  readonly schema: typeof RESULT_SCHEMA;
  readonly kind: 'load' | 'modes' | 'zerocopy' | 'compare' | 'max-rate';
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Whether it was ended before its time; what is in here was measured all the same. */
  readonly interrupted: boolean;
  /** The command line, to run it again. */
  readonly command: readonly string[];
  readonly environment: Environment;
  readonly load: LoadSpec;
  readonly limit: LoadLimit;
  readonly cells: readonly Cell[];
  readonly classic?: readonly ClassicRow[] | undefined;
  /** The highest rate that was held, of `--find-max-rate`. Messages a second. */
  readonly maxRate?:
    | { readonly ratePerSecond: number; readonly maxP99Ms: number; readonly probes: number }
    | undefined;
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}
