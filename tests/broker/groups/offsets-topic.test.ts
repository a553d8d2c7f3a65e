import { expect, test } from '@jest/globals';
import { OffsetsTopic } from '../../../broker/src/groups/offsets-topic.js';
import { openTestStorage, silentLogger } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

test('__offsets is kept as it has to be, whatever the defaults for other topics are', async () => {
  const dir = await makeTempDir();
  const storage = await openTestStorage(dir.path, {
    config: {
      ...{ cleanupPolicy: 'delete', minCleanableDirtyRatio: 1, minCompactionLagMs: 86_400_000 },
      ...{ segmentMs: 1, deleteRetentionMs: 0, messageTimestampType: 'LogAppendTime' },
    },
  });
  try {
    await new OffsetsTopic(storage.topics, silentLogger).open();
    expect(storage.topics.byName('__offsets')?.config).toMatchObject({
      ...{ cleanupPolicy: 'compact', minCleanableDirtyRatio: 0.5, minCompactionLagMs: 0 },
      ...{ segmentMs: 86_400_000, deleteRetentionMs: 86_400_000 },
      messageTimestampType: 'CreateTime',
    });
  } finally {
    await storage.close();
    await dir.remove();
  }
});
