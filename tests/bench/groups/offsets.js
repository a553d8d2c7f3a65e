/* What stored offsets cost: memory of many groups, and how soon a broker with many commits is ready. */
import { setTimeout as sleep } from 'node:timers/promises';
import { offsetCommitApi } from '@millrace/protocol';
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from '../spine/processes.js';
import { RawConnection } from './raw-connection.js';

const GROUPS = 10_000;
const PARTITIONS = 10;
const COMMITS = 1_000_000;
/** Requests under way at a time: many fill batches, one at a time has a batch for each request. */
const IN_FLIGHT = 64;
/** After start-up V8 still compiles and collects; idle is what is left. */
const SETTLE_MS = 3_000;

/** Commits `rounds` times for every partition of every group, as tools do: without being a member. */
async function commitAll(port, topicId, { groups, rounds, inFlight, perRequest }) {
  const connection = await RawConnection.open(port);
  const underWay = new Set();
  const requests = PARTITIONS / perRequest;
  for (let i = 0; i < rounds * groups * requests; i += 1) {
    const first = (i % requests) * perRequest;
    const entries = Array.from({ length: perRequest }, (_, index) => ({
      ...{ topicId, partition: first + index, offset: i, leaderEpoch: -1, metadata: null },
    }));
    const groupId = `group-${Math.floor(i / requests) % groups}`;
    const request = connection.request(offsetCommitApi, {
      ...{ groupId, memberId: '', generation: -1, groupInstanceId: null, entries },
    });
    const done = request.then(({ entries: rows }) => {
      underWay.delete(done);
      const failed = rows.find(({ errorCode }) => errorCode !== 0);
      if (failed !== undefined) throw new Error(failed.errorMessage);
    });
    underWay.add(done);
    if (underWay.size >= inFlight) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  connection.close();
}

async function withTopic(directory, args, work) {
  const server = await Server.broker(directory, args);
  const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
  const { topicId } = await client.admin.createTopic({ name: 'read', partitions: PARTITIONS });
  await client.close();
  await work(server, topicId);
  await server.stop();
}

async function restarts(directory, rounds) {
  const ready = [];
  let rss = 0;
  for (let i = 0; i < rounds; i += 1) {
    const server = await Server.broker(directory);
    await sleep(SETTLE_MS);
    ready.push(server.readyMs);
    rss = server.rssMiB();
    await server.stop();
  }
  return { ready, rss };
}

export async function benchOffsets({ rounds }) {
  console.log(`stored offsets; ready after ${rounds} restarts each, medians (min–max)`);
  const rows = [];
  await withTempDir(async (directory) => {
    await withTopic(directory, [], async (server, topicId) => {
      await sleep(SETTLE_MS);
      rows.push(['idle RSS without groups', `${server.rssMiB().toFixed(0)} MiB`]);
      const load = { groups: GROUPS, rounds: 1, inFlight: IN_FLIGHT, perRequest: PARTITIONS };
      await commitAll(server.port, topicId, load);
      await sleep(SETTLE_MS);
      rows.push([`RSS with ${GROUPS} groups × ${PARTITIONS}`, `${server.rssMiB().toFixed(0)} MiB`]);
    });
    const { ready, rss } = await restarts(directory, rounds);
    rows.push(['the same after a restart: ready', `${spread(ready, 0)} ms`]);
    rows.push(['the same after a restart: RSS', `${rss.toFixed(0)} MiB`]);
  });
  // Batches of many commits, and a batch for each: durability by the page cache, for it is not the point.
  const loads = [
    { groups: 10 * GROUPS, rounds: 1, inFlight: IN_FLIGHT, perRequest: PARTITIONS },
    { groups: GROUPS, rounds: 10, inFlight: IN_FLIGHT, perRequest: PARTITIONS },
    { groups: GROUPS, rounds: 10, inFlight: 1, perRequest: 1 },
  ];
  for (const load of loads) {
    const atATime = load.perRequest * load.inFlight;
    const name = `${COMMITS} commits of ${load.groups} groups, ${atATime} at a time:`;
    await withTempDir(async (directory) => {
      await withTopic(directory, ['--durability', 'pagecache'], async (server, topicId) => {
        const startedAt = performance.now();
        await commitAll(server.port, topicId, load);
        const perSecond = (COMMITS / (performance.now() - startedAt)) * 1_000;
        rows.push([`${name} per second`, perSecond.toFixed(0)]);
      });
      const { ready, rss } = await restarts(directory, rounds);
      rows.push([`${name} ready`, `${spread(ready, 0)} ms`]);
      rows.push([`${name} RSS`, `${rss.toFixed(0)} MiB`]);
    });
  }
  printTable(rows);
}
