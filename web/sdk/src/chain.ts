import type { Gap, Replay, WireEvent } from './wire.js';

/** Events that wait for a repair, per channel. Beyond it the channel goes on live and the rest becomes a hole. */
export const MAX_HELD = 500;

/** Sequences that are missing: `from` < seq <= `through`. Live events above a hole are shown; it is filled later. */
export interface Hole {
  from: number;
  through: number;
}

/** What the owner of a chain has to do after it took something in. */
export interface ChainStep {
  /** To be applied to the store, ascending. */
  apply: WireEvent[];
  /** Ask the gateway for what is missing behind the cursor. */
  repair: boolean;
  /** The log has ended below the cursor: forget what is above this sequence. */
  dropAbove?: number;
}

const NOTHING: ChainStep = { apply: [], repair: false };

/**
 * The proof that nothing of a channel was missed. Pure: no time, no network.
 *
 * Each event names its predecessor. An event at or below the cursor was seen before and is dropped. One whose predecessor
 * lies above the cursor, or is unknown (0) while there is a cursor, shows a break: it is held back until a replay has moved
 * the cursor. When no repair comes, or too much is held, the chain jumps over the break and leaves a hole behind; the
 * channel is complete when it has no hole and is not repairing.
 */
export class Chain {
  epoch: number;
  /** The last sequence up to which everything is applied, but for the holes. */
  cursor: number;
  /** The highest sequence that is known to exist. */
  head: number;
  /** A break is open: events are held until a replay or a gap. */
  repairing = false;
  #held: WireEvent[] = [];
  #holes: Hole[] = [];
  /** The epoch that the server named last; it counts once the cursor has met it. */
  #nextEpoch: number;

  constructor(epoch: number, cursor: number) {
    this.epoch = epoch;
    this.cursor = cursor;
    this.head = cursor;
    this.#nextEpoch = epoch;
  }

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  get heldCount(): number {
    return this.#held.length;
  }

  get complete(): boolean {
    return !this.repairing && this.#holes.length === 0;
  }

  /** A live event. */
  event(event: WireEvent): ChainStep {
    this.head = Math.max(this.head, event.seq);
    if (event.seq <= this.cursor) return NOTHING;
    if (this.repairing) return this.#hold(event);
    if (this.#follows(event)) {
      this.cursor = event.seq;
      return { apply: [event], repair: false };
    }
    this.repairing = true;
    this.#hold(event);
    return { apply: [], repair: true };
  }

  /** The session started anew: the channel stands at `headSeq` of `epoch` and a replay is due if that is not here. */
  resumed(epoch: number, headSeq: number): void {
    this.head = Math.max(this.head, headSeq);
    this.#nextEpoch = epoch;
    this.repairing = epoch !== this.epoch || this.cursor < headSeq;
    this.#held = [];
  }

  /** Everything with fromSeq < seq <= throughSeq. It moves the cursor, and fills holes that it covers. */
  replay(replay: Replay): ChainStep {
    const known = replay.fromSeq <= this.cursor;
    const fills = this.#holes.some((hole) => overlaps(hole, replay.fromSeq, replay.throughSeq));
    if (!known && !fills) return { apply: [], repair: this.repairing };
    const apply = this.fill(replay.fromSeq, replay.throughSeq, replay.events);
    if (!known) return { apply, repair: false };
    this.epoch = replay.epoch;
    this.#advance(replay.throughSeq);
    if (replay.more) {
      this.repairing = true;
      return { apply, repair: false };
    }
    const rest = this.#release();
    return { apply: [...apply, ...rest.apply], repair: rest.repair };
  }

  /** Too much is missing to be replayed: go on behind `headSeq`; what lies before it is a hole. */
  gap(gap: Gap): ChainStep {
    if (gap.epoch !== 0) this.epoch = gap.epoch;
    if (gap.reason === 'cursor_ahead' && gap.headSeq < this.cursor) return this.#rewind(gap.headSeq);
    this.head = Math.max(this.head, gap.headSeq);
    if (gap.headSeq > this.cursor) {
      this.addHole(this.cursor, gap.headSeq);
      this.cursor = gap.headSeq;
    }
    return this.#release();
  }

  /** No repair came: jump over the break, so that the channel goes on live. */
  skip(): ChainStep {
    this.epoch = this.#nextEpoch;
    const first = this.#held[0];
    const to = first ? (first.prev > 0 ? first.prev : first.seq - 1) : this.head;
    if (to > this.cursor) {
      this.addHole(this.cursor, to);
      this.cursor = to;
    }
    return this.#release(true);
  }

  /**
   * Events of a part of the log that was fetched: `from` < seq <= `through`. Holes shrink by that part. Returns the events
   * that were missing: those behind the cursor that lie in no hole had been applied before.
   */
  fill(from: number, through: number, events: readonly WireEvent[]): WireEvent[] {
    const missing = events.filter((event) => event.seq > this.cursor || this.#inHole(event.seq));
    this.#holes = this.#holes.flatMap((hole) => cut(hole, from, through));
    for (const event of missing) this.head = Math.max(this.head, event.seq);
    return missing.sort((a, b) => a.seq - b.seq);
  }

  addHole(from: number, through: number): void {
    if (through <= from) return;
    const apart = this.#holes.filter((hole) => hole.through < from || hole.from > through);
    const touching = this.#holes.filter((hole) => !apart.includes(hole));
    const merged = {
      from: Math.min(from, ...touching.map((hole) => hole.from)),
      through: Math.max(through, ...touching.map((hole) => hole.through)),
    };
    this.#holes = [...apart, merged].sort((a, b) => a.from - b.from);
  }

  /** The servers lost the end of the log in a disaster; new events may stand where the lost ones stood. */
  #rewind(headSeq: number): ChainStep {
    this.cursor = this.head = headSeq;
    this.#holes = this.#holes.flatMap((hole) => cut(hole, headSeq, Infinity));
    return { ...this.#release(), dropAbove: headSeq };
  }

  #follows(event: WireEvent): boolean {
    return event.prev === 0 ? this.cursor === 0 : event.prev <= this.cursor;
  }

  #inHole(seq: number): boolean {
    return this.#holes.some((hole) => hole.from < seq && seq <= hole.through);
  }

  #advance(seq: number): void {
    this.cursor = Math.max(this.cursor, seq);
    this.head = Math.max(this.head, seq);
  }

  /** Holds an event back. When there are too many, the break becomes a hole and they are all released. */
  #hold(event: WireEvent): ChainStep {
    const last = this.#held[this.#held.length - 1];
    if (!last || event.seq > last.seq) this.#held.push(event);
    else if (!this.#held.some((held) => held.seq === event.seq)) {
      this.#held.push(event);
      this.#held.sort((a, b) => a.seq - b.seq);
    }
    return this.#held.length > MAX_HELD ? this.skip() : NOTHING;
  }

  /** The break is closed: apply what was held, as far as it now follows. `jump`: over further breaks, too. */
  #release(jump = false): ChainStep {
    const held = this.#held;
    this.#held = [];
    this.repairing = false;
    const apply: WireEvent[] = [];
    for (const event of held) {
      if (event.seq <= this.cursor) continue;
      if (!this.repairing && !this.#follows(event)) {
        if (jump) this.addHole(this.cursor, event.prev > 0 ? event.prev : event.seq - 1);
        else this.repairing = true;
      }
      if (this.repairing) {
        this.#held.push(event);
        continue;
      }
      this.cursor = event.seq;
      apply.push(event);
    }
    if (this.cursor < this.head) this.#stillBehind(jump);
    return { apply, repair: this.repairing };
  }

  /** Nothing more is held, or it broke again; either way something up to `head` is missing. */
  #stillBehind(jump: boolean): void {
    if (!jump) {
      this.repairing = true;
      return;
    }
    this.addHole(this.cursor, this.head);
    this.cursor = this.head;
  }
}

function overlaps(hole: Hole, from: number, through: number): boolean {
  return hole.from < through && from < hole.through;
}

function cut(hole: Hole, from: number, through: number): Hole[] {
  if (!overlaps(hole, from, through)) return [hole];
  const rest: Hole[] = [];
  if (hole.from < from) rest.push({ from: hole.from, through: from });
  if (through < hole.through) rest.push({ from: through, through: hole.through });
  return rest;
}
