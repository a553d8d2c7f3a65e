#!/usr/bin/env -S node --single-threaded-gc
/*
 * The collector has no threads of its own here: the broker's heap is small, and where its clients keep the other cores
 * busy, its one thread would wait in a collection for helpers that wait for a core (docs/performance.md).
 */
import { run } from '../dist/cli/main.js';

await run(process.argv);
