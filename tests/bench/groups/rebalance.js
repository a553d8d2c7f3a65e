/* How long a rebalance of a large group takes: members in processes of their own, one joins, one leaves. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from '../spine/processes.js';

const MEMBERS = 100;
const PARTITIONS = 1_000;
/** Processes that share the members among them. */
const PROCESSES = 2;

const script = fileURLToPath(new URL('./members.js', import.meta.url));

/** A process with members; `owned` is how many partitions each of them has. */
class Members {
  constructor(child, onChange) {
    this.child = child;
    this.owned = [];
    child.on('message', ({ owned }) => {
      this.owned = owned;
      onChange();
    });
  }
}

/** Resolves when every partition has an owner and nobody has more than its share. */
function settled(processes, members, state) {
  return new Promise((resolve) => {
    state.check = () => {
      const owned = processes.flatMap((process) => process.owned);
      const total = owned.reduce((sum, count) => sum + count, 0);
      const share = Math.ceil(PARTITIONS / members);
      if (owned.length !== members || total !== PARTITIONS) return;
      if (owned.some((count) => count > share)) return;
      resolve(performance.now());
    };
    state.check();
  });
}

async function measure(port, assignor, rounds) {
  const state = { check: () => undefined };
  const group = `large-${assignor}`;
  const processes = Array.from({ length: PROCESSES }, () => {
    const child = fork(script, [String(port), group, assignor]);
    return new Members(child, () => state.check());
  });
  const all = { joinAll: [], join: [], leave: [] };
  let members = 0;
  const change = async (times, act) => {
    const startedAt = performance.now();
    act();
    times.push((await settled(processes, members, state)) - startedAt);
  };
  members = MEMBERS - 1;
  await change(all.joinAll, () => {
    const half = Math.floor(members / 2);
    processes[0].child.send({ join: half });
    processes[1].child.send({ join: members - half });
  });
  for (let i = 0; i < rounds; i += 1) {
    members = MEMBERS;
    await change(all.join, () => processes[0].child.send({ join: 1 }));
    members = MEMBERS - 1;
    await change(all.leave, () => processes[0].child.send({ leave: 1 }));
  }
  for (const { child } of processes) {
    const ended = once(child, 'exit');
    child.send({ end: true });
    await ended;
  }
  return all;
}

export async function benchRebalance({ rounds }) {
  console.log(
    `${MEMBERS} members, ${PARTITIONS} partitions: until all is owned evenly, ${rounds} rounds`,
  );
  await withTempDir(async (directory) => {
    const server = await Server.broker(directory);
    const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
    await client.admin.createTopic({ name: 'large', partitions: PARTITIONS });
    await client.close();
    for (const assignor of ['cooperative-sticky', 'range']) {
      const { joinAll, join, leave } = await measure(server.port, assignor, rounds);
      console.log(assignor);
      printTable([
        [`${MEMBERS - 1} members at once`, `${spread(joinAll, 0)} ms`],
        ['one more joins', `${spread(join, 0)} ms`],
        ['one leaves', `${spread(leave, 0)} ms`],
      ]);
    }
    await server.stop();
  });
}
