/*
 * Everything that the calls of the admin take and give, by subject.
 */

export type * from './admin/cluster-types.js';
export type * from './admin/group-types.js';
export type * from './admin/topic-types.js';
