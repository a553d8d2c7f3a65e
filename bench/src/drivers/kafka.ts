import type { Driver } from './driver.js';

export const kafkaDriver: Driver = undefined as unknown as Driver;
