/** Where a member sits in its {@link Roster}; for {@link Roster.remove} alone. */
export interface Seat<Member> {
  readonly member: Member;
  /** -1: it has left. */
  place: number;
}

/**
 * Members that come and go many thousand times a second, in no order.
 *
 * Not a Set: of one whose entries come and go V8 makes a new table every few of them, and each table refers to the
 * next one. The first that gets old then keeps all after it from being collected young, with what they refer to.
 */
export class Roster<Member> {
  /** The first `#size` are taken. It does not shrink: as many may come again. */
  readonly #seats: (Seat<Member> | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns what {@link remove} takes. */
  add(member: Member): Seat<Member> {
    const seat = { member, place: this.#size };
    this.#seats[this.#size] = seat;
    this.#size += 1;
    return seat;
  }

  /** Does nothing when it has left before. */
  remove(seat: Seat<Member>): void {
    const { place } = seat;
    if (place < 0) return;
    this.#size -= 1;
    const last = this.#seats[this.#size];
    this.#seats[this.#size] = undefined;
    if (last !== undefined && last !== seat) {
      this.#seats[place] = last;
      last.place = place;
    }
    seat.place = -1;
  }

  /**
   * Calls `visit` with each member. Meanwhile members may leave, and are not visited then. When one leaves in the visit
   * of another, a third may be visited again; and whoever comes meanwhile may be visited or not.
   */
  forEach(visit: (member: Member) => void): void {
    for (let place = this.#size - 1; place >= 0; place -= 1) {
      const seat = this.#seats[place];
      if (seat !== undefined) visit(seat.member);
    }
  }
}
