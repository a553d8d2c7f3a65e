import { FakeAdmin } from '../support/fake-admin.js';
import type { FakeBroker } from '../support/fake-broker.js';
import type { Harness } from '../support/harness.js';
import { run, type Ended } from './command.js';

/** How a command ended, its output as text. */
export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A fake broker to administrate, and the command that does it. */
export interface Administration {
  readonly broker: FakeBroker;
  readonly fake: FakeAdmin;
  readonly millrace: (...args: readonly string[]) => Promise<Said>;
  /** The command's output as JSON; it must succeed. */
  readonly json: (...args: readonly string[]) => Promise<unknown>;
}

/** Topic `t`: four messages in partition 0, a second apart, and one in partition 1. */
export async function administrate({ broker, client }: Harness): Promise<Administration> {
  const fake = new FakeAdmin(broker);
  broker.createTopic('t', 2);
  const producer = client.producer({ batchBytes: 1 });
  for (const [index, partition] of [0, 0, 0, 0, 1].entries()) {
    const timestampMs = Date.UTC(2026, 0, 31, 12, 0, index);
    await producer.send('t', { value: 'v', partition, timestampMs });
  }
  const millrace = async (...args: readonly string[]): Promise<Said> =>
    asText(await run(['--broker', broker.address, ...args]));
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await millrace(...args, '--json');
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  };
  return { broker, fake, millrace, json };
}

/** The output as text. */
export function asText({ code, stdout, stderr }: Ended): Said {
  return { code, stdout: stdout.toString(), stderr };
}
