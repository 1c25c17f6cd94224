import { describe, expect, it } from 'vitest';
import { Chain, MAX_HELD } from '../src/chain.js';
import type { Replay, WireEvent } from '../src/wire.js';
import { messageEvent } from './fakes.js';

const seqs = (events: readonly WireEvent[]): number[] => events.map((event) => event.seq);

function replayOf(fromSeq: number, throughSeq: number, events: WireEvent[], more: Partial<Replay> = {}): Replay {
  return { type: 'replay', ref: 0, channelId: 'general', epoch: 7, fromSeq, throughSeq, events, more: false, ...more };
}

const gapOf = (headSeq: number, epoch = 7, fromSeq = 10) =>
  ({ type: 'gap', ref: 0, channelId: 'general', epoch, fromSeq, headSeq, reason: 'too_long' }) as const;

describe('an unbroken chain', () => {
  it('applies each event that names its predecessor', () => {
    const chain = new Chain(7, 10);
    expect(seqs(chain.event(messageEvent(12, 10)).apply)).toEqual([12]);
    expect(seqs(chain.event(messageEvent(15, 12)).apply)).toEqual([15]);
    expect(chain.cursor).toBe(15);
    expect(chain.complete).toBe(true);
  });

  it('drops an event at or below the cursor', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(12, 10));
    expect(chain.event(messageEvent(12, 10))).toEqual({ apply: [], repair: false });
    expect(chain.event(messageEvent(9, 8))).toEqual({ apply: [], repair: false });
  });

  it('accepts a predecessor below the cursor: a newer one was removed, or a replay went further', () => {
    const chain = new Chain(7, 10);
    expect(seqs(chain.event(messageEvent(14, 8)).apply)).toEqual([14]);
  });

  it('accepts an unknown predecessor only where nothing came before', () => {
    expect(new Chain(7, 0).event(messageEvent(5, 0)).repair).toBe(false);
    expect(new Chain(7, 10).event(messageEvent(12, 0)).repair).toBe(true);
  });
});

describe('a break', () => {
  it('holds events, asks once, and applies them in order after the replay', () => {
    const chain = new Chain(7, 10);
    expect(chain.event(messageEvent(13, 12))).toEqual({ apply: [], repair: true });
    expect(chain.event(messageEvent(14, 13))).toEqual({ apply: [], repair: false });
    expect(chain.cursor).toBe(10);
    expect(chain.complete).toBe(false);
    const step = chain.replay(replayOf(10, 12, [messageEvent(11, 10), messageEvent(12, 11)]));
    expect(seqs(step.apply)).toEqual([11, 12, 13, 14]);
    expect(step.repair).toBe(false);
    expect([chain.cursor, chain.complete]).toEqual([14, true]);
  });

  it('drops held events that the replay brought, and moves to throughSeq where the events end earlier', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(13, 12));
    const step = chain.replay(replayOf(10, 20, [messageEvent(11, 10), messageEvent(13, 12)]));
    expect(seqs(step.apply)).toEqual([11, 13]);
    expect(chain.cursor).toBe(20);
    expect(seqs(chain.event(messageEvent(21, 13)).apply)).toEqual([21]);
  });

  it('keeps holding while more replays follow', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(16, 15));
    expect(seqs(chain.replay(replayOf(10, 12, [messageEvent(12, 10)], { more: true })).apply)).toEqual([12]);
    expect(chain.repairing).toBe(true);
    expect(seqs(chain.replay(replayOf(12, 15, [messageEvent(15, 12)])).apply)).toEqual([15, 16]);
    expect(chain.repairing).toBe(false);
  });

  it('asks again when what is held breaks a second time', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(12, 11));
    chain.event(messageEvent(20, 19));
    const step = chain.replay(replayOf(10, 11, [messageEvent(11, 10)]));
    expect(seqs(step.apply)).toEqual([11, 12]);
    expect(step.repair).toBe(true);
    expect(chain.heldCount).toBe(1);
  });

  it('is not closed by a replay that ends before what is known to exist', () => {
    const chain = new Chain(7, 10);
    chain.resumed(7, 20);
    const step = chain.replay(replayOf(10, 15, [messageEvent(15, 10)]));
    expect([chain.cursor, step.repair, chain.repairing]).toEqual([15, true, true]);
  });

  it('is not closed by a replay that begins above the cursor', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(20, 19));
    const step = chain.replay(replayOf(15, 19, [messageEvent(19, 15)]));
    expect(step).toEqual({ apply: [], repair: true });
    expect(chain.cursor).toBe(10);
  });
});

describe('the bound on held events', () => {
  it('turns the break into a hole and goes on live', () => {
    const chain = new Chain(7, 10);
    let applied: number[] = [];
    for (let i = 0; i <= MAX_HELD; i++) {
      expect(chain.heldCount).toBeLessThanOrEqual(MAX_HELD);
      applied = seqs(chain.event(messageEvent(20 + i, 19 + i)).apply);
    }
    expect(applied).toHaveLength(MAX_HELD + 1);
    expect(chain.heldCount).toBe(0);
    expect(chain.holes).toEqual([{ from: 10, through: 19 }]);
    expect([chain.cursor, chain.complete]).toEqual([20 + MAX_HELD, false]);
  });
});

describe('skip', () => {
  it('leaves a hole for each break among what was held', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(13, 12));
    chain.event(messageEvent(20, 18));
    expect(seqs(chain.skip().apply)).toEqual([13, 20]);
    expect(chain.holes).toEqual([
      { from: 10, through: 12 },
      { from: 13, through: 18 },
    ]);
  });

  it('takes everything before an event with an unknown predecessor as missing', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(13, 0));
    chain.skip();
    expect(chain.holes).toEqual([{ from: 10, through: 12 }]);
  });

  it('reaches up to the head when nothing is held', () => {
    const chain = new Chain(7, 10);
    chain.resumed(7, 30);
    chain.skip();
    expect([chain.cursor, chain.holes]).toEqual([30, [{ from: 10, through: 30 }]]);
  });
});

describe('gap', () => {
  it('goes on behind the head and leaves a hole', () => {
    const chain = new Chain(7, 10);
    chain.event(messageEvent(101, 100));
    expect(seqs(chain.gap(gapOf(100)).apply)).toEqual([101]);
    expect(chain.holes).toEqual([{ from: 10, through: 100 }]);
    expect(chain.cursor).toBe(101);
  });

  it('changes nothing when the cursor is further', () => {
    const chain = new Chain(7, 10);
    chain.gap(gapOf(10));
    expect([chain.cursor, chain.holes]).toEqual([10, []]);
  });
});

describe('holes', () => {
  it('shrink by what was fetched, and count only events that were missing', () => {
    const chain = new Chain(7, 10);
    chain.gap(gapOf(100));
    const fetched = [messageEvent(50, 10), messageEvent(40, 10), messageEvent(5, 0)];
    expect(seqs(chain.fill(10, 60, fetched))).toEqual([40, 50]);
    expect(chain.holes).toEqual([{ from: 60, through: 100 }]);
    expect(seqs(chain.fill(60, 200, [messageEvent(70, 50)]))).toEqual([70]);
    expect(chain.complete).toBe(true);
  });

  it('are filled by a replay, too', () => {
    const chain = new Chain(7, 10);
    chain.gap(gapOf(100));
    expect(seqs(chain.replay(replayOf(10, 100, [messageEvent(60, 10)])).apply)).toEqual([60]);
    expect(chain.complete).toBe(true);
  });

  it('are cut in two by a part in their middle, and merge where they touch', () => {
    const chain = new Chain(7, 100);
    chain.addHole(10, 50);
    chain.fill(20, 30, []);
    expect(chain.holes).toEqual([
      { from: 10, through: 20 },
      { from: 30, through: 50 },
    ]);
    chain.addHole(15, 35);
    expect(chain.holes).toEqual([{ from: 10, through: 50 }]);
  });
});

describe('epochs', () => {
  it('holds events after another epoch was announced, until the gap says where to go on', () => {
    const chain = new Chain(7, 10);
    chain.resumed(8, 1_000_001);
    expect(chain.event(messageEvent(1_000_002, 1_000_001)).apply).toEqual([]);
    expect(seqs(chain.gap(gapOf(1_000_001, 8)).apply)).toEqual([1_000_002]);
    expect([chain.epoch, chain.holes]).toEqual([8, [{ from: 10, through: 1_000_001 }]]);
  });

  it('does not claim the new epoch before something was heard of it', () => {
    const chain = new Chain(7, 10);
    chain.resumed(8, 10);
    expect([chain.epoch, chain.repairing]).toEqual([7, true]);
    chain.skip();
    expect(chain.epoch).toBe(8);
  });

  it('takes the epoch of a replay', () => {
    const chain = new Chain(7, 10);
    chain.resumed(8, 20);
    chain.replay(replayOf(10, 20, [], { epoch: 8 }));
    expect([chain.epoch, chain.complete]).toEqual([8, true]);
  });

  it('is at peace when the session begins where it stands', () => {
    const chain = new Chain(7, 10);
    chain.resumed(7, 10);
    expect(chain.repairing).toBe(false);
  });
});
