import type { Roster } from '../../../broker/src/roster.js';

/** Who is in a roster, in no order. */
export function membersOf<Member>(roster: Roster<Member>): Member[] {
  const members: Member[] = [];
  roster.forEach((member) => members.push(member));
  return members;
}
