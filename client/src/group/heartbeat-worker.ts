import { parentPort } from 'node:worker_threads';
import type { HeartbeatCommand } from './heartbeat-messages.js';
import { Heartbeats } from './heartbeats.js';

/* The worker thread of heartbeat-thread.ts: it ends when that terminates it. */

const heartbeats = new Heartbeats((finding) => parentPort?.postMessage(finding));
parentPort?.on('message', (command: HeartbeatCommand) => heartbeats.apply(command));
