/* Members of a group, as told by the parent: `{ join: n }`, `{ leave: n }`, `{ end }`. */
import { setImmediate } from 'node:timers';
import { Millrace } from '@millrace/client';

const [port, group, assignor] = process.argv.slice(2);
const client = new Millrace({ brokers: [`127.0.0.1:${port}`], clientId: 'member' });
const consumers = [];

function tell() {
  process.send({ owned: consumers.map(({ assignment }) => assignment.length) });
}

function join() {
  const consumer = client.consumer({ group, topics: ['large'], assignors: [assignor] });
  consumer.on('assigned', () => setImmediate(tell));
  consumer.on('revoked', () => setImmediate(tell));
  consumers.push(consumer);
  void (async () => {
    for await (const message of consumer) void message;
  })();
}

async function end() {
  await client.close();
  process.exit(0);
}

process.on('message', (order) => {
  for (let i = 0; i < (order.join ?? 0); i += 1) join();
  for (let i = 0; i < (order.leave ?? 0); i += 1) void consumers.pop().close().then(tell);
  if (order.end === true) void end();
});
