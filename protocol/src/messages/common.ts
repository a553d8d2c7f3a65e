import { MAX_INT16, MAX_INT32, MAX_STRING_LENGTH } from '../limits.js';
import type { FieldReader } from './fields.js';

/*
 * Fields that several messages have, so that they are checked alike:
 *
 *   topicId    string: 32 lower-case hexadecimal digits
 *   partition  int32 ≥ 0
 *   error      errorCode int16 · errorMessage string | nil
 *   member     memberId string · groupInstanceId string | nil
 */

/** A partition by the id of its topic. */
export interface PartitionKey {
  /** 32 lower-case hexadecimal digits. */
  readonly topicId: string;
  /** From 0. */
  readonly partition: number;
}

/** A member of a group. */
export interface MemberKey {
  /** Given by the coordinator; empty until then. */
  readonly memberId: string;
  /** Set by a static member (KIP-345), which keeps its place while it restarts; null = none. */
  readonly groupInstanceId: string | null;
}

/** How a row of a response went. */
export interface RowError {
  /** A code of the error table; 0 = no error. */
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

/** The largest offset, producer id or timestamp: the largest safe integer. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** An int32 from `min`, which is 0 or a "none" of -1. */
export function readInt32(reader: FieldReader, name: string, min: number): number {
  return reader.integer(name, min, MAX_INT32);
}

/** Any int32; what it may be is for the handler to say, in words of its own. */
export function readAnyInt32(reader: FieldReader, name: string): number {
  return reader.integer(name, -MAX_INT32 - 1, MAX_INT32);
}

/** A safe integer from `min`: an offset, a timestamp, a size in bytes. */
export function readSafe(reader: FieldReader, name: string, min: number): number {
  return reader.integer(name, min, MAX_INTEGER);
}

/** An error code, also one that this version does not know. */
export function readErrorCode(reader: FieldReader): number {
  return reader.integer('errorCode', -MAX_INT16 - 1, MAX_INT16);
}

/** An error message or null. */
export function readErrorMessage(reader: FieldReader): string | null {
  return reader.nullableString('errorMessage', MAX_STRING_LENGTH);
}

/** A partition by the id of its topic. */
export function readPartitionKey(reader: FieldReader): PartitionKey {
  return { topicId: reader.topicId('topicId'), partition: readInt32(reader, 'partition', 0) };
}

/** An error of a row. */
export function readRowError(reader: FieldReader): RowError {
  return { errorCode: readErrorCode(reader), errorMessage: readErrorMessage(reader) };
}

/** A member of a group. */
export function readMemberKey(reader: FieldReader): MemberKey {
  const memberId = reader.string('memberId');
  return { memberId, groupInstanceId: reader.nullableString('groupInstanceId') };
}
