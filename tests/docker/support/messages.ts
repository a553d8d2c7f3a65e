import type { Millrace } from '@millrace/client';

/** Values that tell their place. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `message ${i} ${'x'.repeat(i % 200)}`);
}

/** Sends the values to partition 0 of a topic, in order, and waits until they are acknowledged. */
export async function produceAll(
  client: Millrace,
  topic: string,
  values: readonly string[],
): Promise<void> {
  const producer = client.producer({ acks: 'all' });
  for (const value of values) {
    if (!producer.enqueue(topic, { value, partition: 0 })) await producer.ready();
  }
  await producer.close();
}

/** Everything in a topic from the beginning to the end. */
export async function readAll(client: Millrace, topic: string): Promise<string[]> {
  const values: string[] = [];
  const consumer = client.consumer({ topics: [topic], from: 'beginning', exitAtEnd: true });
  for await (const message of consumer) values.push(message.text() ?? '');
  return values;
}
