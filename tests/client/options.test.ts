import { expect, test } from '@jest/globals';
import { InvalidArgumentError, Millrace, type ClientOptions } from '@millrace/client';
import { rejectionOf, useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('It did not throw');
}

test.each([
  [
    'a client',
    () => new Millrace({ broker: ['a'] } as unknown as ClientOptions),
    'There is no client option "broker"; did you mean "brokers"?',
  ],
  [
    'a producer',
    () => harness().client.producer({ compresion: 'zstd' } as object),
    'There is no producer option "compresion"; did you mean "compression"?',
  ],
  [
    'a consumer',
    () => harness().client.consumer({ topics: ['t'], form: 'end' } as { topics: string[] }),
    'There is no consumer option "form"; did you mean "from"?',
  ],
  [
    'a consumer, in other letters',
    () => harness().client.consumer({ topics: ['t'], EXITATEND: true } as { topics: string[] }),
    'did you mean "exitAtEnd"?',
  ],
])('a misspelt option of %s is refused with the one that is meant', (_, action, message) => {
  const error = thrownBy(action);
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect((error as Error).message).toContain(message);
});

test('where nothing is near, the options that exist are listed', () => {
  const error = thrownBy(() => harness().client.producer({ retries: 5 } as object));
  expect((error as Error).message).toMatch(/no producer option "retries"; .*acks, .*lingerMs/);
});

test('options that are no object at all are refused', () => {
  for (const options of [undefined, null, 'localhost', ['localhost']]) {
    const error = thrownBy(() => new Millrace(options as unknown as ClientOptions));
    expect(error).toBeInstanceOf(InvalidArgumentError);
  }
});

test('the fields of a topic are checked before anything is sent', async () => {
  const { broker, client } = harness();
  const spec = { name: 't', partition: 3 };
  const error = await rejectionOf(client.admin.createTopic(spec));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect((error as Error).message).toContain('did you mean "partitions"?');
  expect(broker.topics.size).toBe(0);
});

test.each([
  [[{ topic: 't', messages: [] }], 'the topic is object'],
  [['', { value: 'v' }], 'the topic is empty'],
  [['t'], 'the message is undefined'],
  [['t', 'value'], 'the message is string'],
  [['t', null], 'the message is null'],
])('send(...%j), as other clients have it, says what it takes', async (args, message) => {
  const producer = harness().client.producer();
  const sent = producer.send(...(args as Parameters<typeof producer.send>));
  const error = await rejectionOf(sent);
  expect(error).toBeInstanceOf(InvalidArgumentError);
  expect(error).toMatchObject({
    message: expect.stringMatching(/^A message is sent by a topic's name and \{ value/),
  });
  expect(error).toMatchObject({ message: expect.stringContaining(message) });
  await producer.close();
});

test('sendBatch refuses what is no array', async () => {
  const producer = harness().client.producer();
  const error = await rejectionOf(producer.sendBatch('t', { value: 'v' } as never));
  expect(error).toBeInstanceOf(InvalidArgumentError);
  await producer.close();
});
