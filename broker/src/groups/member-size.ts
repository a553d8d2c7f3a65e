import type { MemberTerms } from './member.js';

/** Lengths and the like around the ids and the metadata of a member in an answer. */
const ANSWER_ROW_BYTES = 32;
/** What the objects and timers of a member take, whatever it says. */
const OBJECT_BYTES = 1024;

/** How large a member makes what the broker keeps and answers. */
export interface MemberSize {
  /** At most, in the answer that tells the leader of all members. */
  readonly answerBytes: number;
  /** In memory, without its assignment. */
  readonly memoryBytes: number;
}

/** The size of a member that says `terms`. */
export function sizeOfMember(
  memberId: string,
  groupInstanceId: string | null,
  { clientId, clientHost, protocols }: MemberTerms,
): MemberSize {
  const idBytes = Buffer.byteLength(memberId) + Buffer.byteLength(groupInstanceId ?? '');
  let largest = 0;
  let all = 0;
  for (const { name, metadata } of protocols) {
    largest = Math.max(largest, metadata.length);
    all += Buffer.byteLength(name) + metadata.length;
  }
  const clientBytes = Buffer.byteLength(clientId) + Buffer.byteLength(clientHost);
  return {
    answerBytes: ANSWER_ROW_BYTES + idBytes + largest,
    memoryBytes: OBJECT_BYTES + idBytes + clientBytes + all,
  };
}
