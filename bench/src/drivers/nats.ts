import type { Driver } from './driver.js';

export const natsDriver: Driver = undefined as unknown as Driver;
