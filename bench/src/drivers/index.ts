import type { Driver, DriverName } from './driver.js';

/** Loads a driver and the client that it needs. @throws Error that says what to install. */
export async function loadDriver(name: DriverName): Promise<Driver> {
  switch (name) {
    case 'millrace':
      return (await import('./millrace.js')).millraceDriver;
    case 'nats':
      return (await import('./nats.js')).natsDriver;
    case 'redis':
      return (await import('./redis.js')).redisDriver;
    case 'kafka':
      return (await import('./kafka.js')).kafkaDriver;
  }
}
