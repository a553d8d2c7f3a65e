import type { Driver } from './driver.js';

export const redisDriver: Driver = undefined as unknown as Driver;
