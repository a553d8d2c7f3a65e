import { until } from '../../e2e/support/reader.js';
import { docker, fromRunner, run } from './command.js';
import type { Ended } from './command.js';

/** What the image must run under, with the engine's own seccomp profile. */
export const HARDENED = [
  '--read-only',
  ...['--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges'],
] as const;

const LABELLED = (): readonly string[] => ['--label', fromRunner('LABEL')];

interface StoppedState {
  readonly exitCode: number;
  readonly outOfMemory: boolean;
  readonly tookMs: number;
}

/** A container of the image under test, with its ports published on the host's loopback. */
export class Container {
  static readonly #all = new Set<Container>();

  private constructor(readonly id: string) {
    Container.#all.add(this);
  }

  /** Starts it, hardened; `flags` are those of `docker run`. Resolves before it is ready. */
  static async start(
    flags: readonly string[] = [],
    command: readonly string[] = [],
  ): Promise<Container> {
    const published = ['-p', '127.0.0.1::7070', '-p', '127.0.0.1::7071'];
    const options = ['-d', ...LABELLED(), ...HARDENED, ...published, ...flags];
    return new Container(await docker('run', ...options, fromRunner('IMAGE'), ...command));
  }

  /** Starts it and waits until it says that it is ready. */
  static async ready(
    flags: readonly string[] = [],
    command: readonly string[] = [],
  ): Promise<Container> {
    const container = await Container.start(flags, command);
    await until(async () => {
      const { stdout, stderr } = await container.logs();
      if (stdout.includes('"msg":"ready"')) return true;
      if (await container.isRunning()) return false;
      throw new Error(`the container ended:\n${stdout}${stderr}`);
    });
    return container;
  }

  /** Runs a command in a new hardened container that is removed when it ends. */
  static once(flags: readonly string[], command: readonly string[], input = ''): Promise<Ended> {
    const options = ['run', '--rm', '-i', ...LABELLED(), ...HARDENED, ...flags];
    return run('docker', [...options, fromRunner('IMAGE'), ...command], { input });
  }

  static async removeAll(): Promise<void> {
    for (const container of Container.#all) await container.remove();
  }

  /** `host:port` that the host reaches this port of the container at. */
  async address(port: 7070 | 7071): Promise<string> {
    const [first = ''] = (await docker('port', this.id, `${port}/tcp`)).split('\n');
    return first;
  }

  async inspect(format: string): Promise<string> {
    return docker('inspect', '-f', format, this.id);
  }

  async isRunning(): Promise<boolean> {
    return (await this.inspect('{{.State.Running}}')) === 'true';
  }

  logs(): Promise<Ended> {
    return run('docker', ['logs', this.id]);
  }

  exec(command: readonly string[], input = ''): Promise<Ended> {
    return run('docker', ['exec', '-i', this.id, ...command], { input });
  }

  /** `docker stop` with its ten seconds of patience. */
  async stop(): Promise<StoppedState> {
    const begunAt = performance.now();
    await docker('stop', this.id);
    const tookMs = performance.now() - begunAt;
    const [code, oom] = (await this.inspect('{{.State.ExitCode}} {{.State.OOMKilled}}')).split(' ');
    return { exitCode: Number(code), outOfMemory: oom === 'true', tookMs };
  }

  async remove(): Promise<void> {
    Container.#all.delete(this);
    await docker('rm', '-f', '-v', this.id);
  }
}

/** A named volume that the run removes at its end. */
export async function makeVolume(): Promise<string> {
  return docker('volume', 'create', ...LABELLED());
}

/** A network that the run removes at its end; resolves to its id. */
export async function makeNetwork(): Promise<string> {
  const name = `millrace-test-${Math.random().toString(36).slice(2)}`;
  return docker('network', 'create', ...LABELLED(), name);
}
