/** A broker of the cluster. */
export interface NodeDescription {
  readonly nodeId: number;
  /** `host:port` where clients reach it. */
  readonly address: string;
  readonly version: string;
  /** Such as `millrace` or `kafka`: which strategies it was started with. */
  readonly mode: string;
  /** How it writes: `adaptive`, `mmap` or `write`. */
  readonly persist: string;
  /** How it sends: `sendfile`, `mmap` or `copy`. */
  readonly serve: string;
  /** Unix time in ms. */
  readonly startedAtMs: number;
}

/** The cluster as a whole. */
export interface ClusterDescription {
  readonly clusterId: string;
  /** Node id. */
  readonly controllerId: number;
  readonly nodes: readonly NodeDescription[];
  readonly topics: number;
  readonly partitions: number;
  /** Partitions that can be neither written nor read; the broker's log says why. */
  readonly offlinePartitions: number;
  readonly groups: number;
  /** Bytes of record batches in all partitions. */
  readonly logBytes: number;
}
