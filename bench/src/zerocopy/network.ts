import { execFileSync } from 'node:child_process';
import { BenchError, messageOf } from '../errors.js';
import { findProgram } from '../servers/find-program.js';

/** Addresses of documentation (RFC 5737): they are nobody's, and exist in these namespaces alone. */
const SERVER_ADDRESS = '192.0.2.1';
const CLIENT_ADDRESS = '192.0.2.2';
const DEVICE = 'veth0';
/** The largest of veth: without segmentation offload the work for each packet would hide that of copying. */
const MAX_MTU_BYTES = 65_535;
/** Of Ethernet: with segmentation offload the kernel hands over larger packets all the same. */
const ETHERNET_MTU_BYTES = 1_500;
const SEGMENTATION_OFFLOADS = ['tso', 'gso', 'gro'] as const;

/** What the server's end of the cable can do, as a network card can or cannot. */
export interface DeviceState {
  /** Packets may lie in several pieces of memory; else the kernel copies each into one. */
  readonly scatterGather: boolean;
  /**
   * The device cuts large packets to its MTU, that of Ethernet; else the kernel cuts them, to the largest MTU
   * that there is.
   */
  readonly segmentationOffload: boolean;
}

/** Two network namespaces and the cable between them. */
export interface VethPair {
  readonly server: string;
  readonly client: string;
  readonly serverAddress: string;
}

/** Why this process cannot have namespaces; undefined when it can. */
export function namespacesMissing(): string | undefined {
  if (process.platform !== 'linux') return 'there are no network namespaces but on Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = ['ip', 'ethtool'].find((name) => findProgram(name) === undefined);
  return missing === undefined
    ? undefined
    : `the command ${missing} is missing (Debian: iproute2, ethtool)`;
}

/** Makes them. @throws BenchError, with nothing left behind. */
export function makeVethPair(): VethPair {
  const base = `millrace-bench-${process.pid}`;
  const pair = { server: `${base}-s`, client: `${base}-c`, serverAddress: SERVER_ADDRESS };
  try {
    ip('netns', 'add', pair.server);
    ip('netns', 'add', pair.client);
    const peer = ['peer', 'name', DEVICE, 'netns', pair.client];
    ip('link', 'add', DEVICE, 'netns', pair.server, 'type', 'veth', ...peer);
    const ends = [
      [pair.server, SERVER_ADDRESS],
      [pair.client, CLIENT_ADDRESS],
    ] as const;
    for (const [namespace, address] of ends) {
      ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', DEVICE);
      ip('-n', namespace, 'link', 'set', DEVICE, 'mtu', `${MAX_MTU_BYTES}`, 'up');
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
    return pair;
  } catch (error) {
    removeVethPair(pair);
    throw new BenchError(`network namespaces cannot be made here: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Removes them; the cable goes with them. Never throws. */
export function removeVethPair({ client, server }: Pick<VethPair, 'client' | 'server'>): void {
  for (const namespace of [server, client]) {
    try {
      ip('netns', 'delete', namespace);
    } catch {
      // It was not made, or is gone.
    }
  }
}

/** Sets the server's end. @throws BenchError where the kernel does not do as it is told. */
export function setDevice(serverNamespace: string, state: DeviceState): void {
  const scatterGather = state.scatterGather ? 'on' : 'off';
  const offload = state.segmentationOffload ? 'on' : 'off';
  // Scatter-gather first: without it there is no segmentation offload.
  const settings = [
    'sg',
    scatterGather,
    ...SEGMENTATION_OFFLOADS.flatMap((name) => [name, offload]),
  ];
  inNamespace(serverNamespace, ['ethtool', '-K', DEVICE, ...settings]);
  const mtuBytes = state.segmentationOffload ? ETHERNET_MTU_BYTES : MAX_MTU_BYTES;
  ip('-n', serverNamespace, 'link', 'set', DEVICE, 'mtu', `${mtuBytes}`);
  const shown = inNamespace(serverNamespace, ['ethtool', '-k', DEVICE]);
  const wanted = {
    'scatter-gather': scatterGather,
    'tcp-segmentation-offload': offload,
    'generic-segmentation-offload': offload,
  };
  for (const [feature, setting] of Object.entries(wanted)) {
    if (new RegExp(`^${feature}: ${setting}`, 'm').test(shown)) continue;
    throw new BenchError(`${feature} of a veth device does not go ${setting} on this kernel`);
  }
}

function inNamespace(namespace: string, command: readonly string[]): string {
  return ip('netns', 'exec', namespace, ...command);
}

function ip(...args: readonly string[]): string {
  const program = findProgram('ip') ?? 'ip';
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
