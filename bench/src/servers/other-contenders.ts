import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, removeDirectory } from '../cli/data-dir.js';
import type { DriverName } from '../drivers/driver.js';
import { loadDriver } from '../drivers/index.js';
import type { LoadSpec } from '../load/spec.js';
import type { Contender } from '../rounds/contender.js';
import { startServer } from './server-process.js';

type Acks = LoadSpec['acks'];

/** Whether JetStream of this server can sync before it answers: 2.10 and later. */
export function natsCanSync(program: string): boolean {
  const version = /v(\d+)\.(\d+)/.exec(execFileSync(program, ['-v'], { encoding: 'utf8' }));
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
  return major > 2 || (major === 2 && minor >= 10);
}

/** NATS JetStream with file storage, on a server that is started for each round. */
export function natsContender(
  program: string,
  acks: Acks,
  parent: string | undefined,
): Promise<Contender> {
  const sync = acks === 'all' ? ', sync_interval: always' : '';
  const argumentsIn = (directory: string) => (port: number) => {
    const config = join(directory, 'nats.conf');
    const store = `store_dir: ${JSON.stringify(directory)}`;
    writeFileSync(config, `host: 127.0.0.1\nport: ${port}\njetstream { ${store}${sync} }\n`);
    return ['--config', config];
  };
  return serverContender('nats', acks, parent, argumentsIn, program);
}

/** Redis Streams with an append-only file, likewise. */
export function redisContender(
  program: string,
  acks: Acks,
  parent: string | undefined,
): Promise<Contender> {
  return serverContender(
    'redis',
    acks,
    parent,
    (directory) => (port) => [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', directory, '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', acks === 'all' ? 'always' : 'everysec'],
    ],
    program,
  );
}

/** A broker of Kafka's protocol that runs. */
export async function kafkaContender(address: string, acks: Acks): Promise<Contender> {
  const driver = await loadDriver('kafka');
  return {
    name: 'kafka',
    about: `${address}; acknowledged: ${driver.acknowledgement(acks)}`,
    open: () =>
      Promise.resolve({
        target: { driver: 'kafka', address },
        httpAddress: undefined,
        close: () => Promise.resolve(),
      }),
  };
}

async function serverContender(
  name: DriverName,
  acks: Acks,
  parent: string | undefined,
  argumentsIn: (directory: string) => (port: number) => readonly string[],
  program: string,
): Promise<Contender> {
  const driver = await loadDriver(name);
  return {
    name,
    about: `acknowledged: ${driver.acknowledgement(acks)}`,
    open: async () => {
      const directory = await makeDirectory(parent);
      try {
        const server = await startServer(program, argumentsIn(directory));
        return {
          target: { driver: name, address: server.address },
          httpAddress: undefined,
          storedIn: directory,
          close: async () => {
            await server.stop();
            removeDirectory(directory);
          },
        };
      } catch (error) {
        removeDirectory(directory);
        throw error;
      }
    },
  };
}
