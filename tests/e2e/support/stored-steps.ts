import { decodeAssignment } from '@millrace/protocol';
import type { Millrace } from '@millrace/client';
import { OffsetsRecord } from '../../../broker/src/groups/offsets-record.js';
import type { StoredStep } from '../../support/group-history.js';

/** Everything in `__offsets`, by group and in order. */
export async function readStoredSteps(client: Millrace): Promise<Map<string, StoredStep[]>> {
  const steps = new Map<string, StoredStep[]>();
  const record = new OffsetsRecord();
  const consumer = client.consumer({ topics: ['__offsets'], exitAtEnd: true });
  for await (const { key, value, offset } of consumer) {
    const keyBytes = key ?? Buffer.alloc(0);
    const valueBytes = value ?? Buffer.alloc(0);
    const bytes = Buffer.concat([keyBytes, valueBytes]);
    const lengths = [keyBytes.length, value === null ? -1 : valueBytes.length] as const;
    const problem = record.read(bytes, 0, lengths[0], lengths[0], lengths[1]);
    if (problem !== undefined) throw new Error(`__offsets at ${offset}: ${problem}`);
    const step = stepOf(record);
    if (step === undefined) continue;
    const ofGroup = steps.get(record.groupId);
    if (ofGroup === undefined) steps.set(record.groupId, [step]);
    else ofGroup.push(step);
  }
  return steps;
}

function stepOf({
  group,
  kind,
  offset,
  partition,
  tombstone,
}: OffsetsRecord): StoredStep | undefined {
  if (tombstone) return undefined;
  if (kind === 'commit') return { type: 'commit', partition, offset };
  if (group === undefined) return undefined;
  const owned = new Map(
    group.members.map(({ memberId, assignment }) => [
      memberId,
      assignment.length === 0
        ? []
        : decodeAssignment(assignment).partitions.flatMap(({ partitions }) => partitions),
    ]),
  );
  return { type: 'generation', generation: group.generation, owned };
}
