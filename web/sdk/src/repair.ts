import { backoff, REPAIR } from './backoff.js';
import type { ChainStep } from './chain.js';
import type { ChannelRecord } from './channel.js';
import type { Env } from './env.js';
import { asError, isTemporary, type ParleyError } from './errors.js';
import type { Rest } from './rest.js';
import type { ClientBody, Cursor, Gap, Replay, ServerFrame, WireEvent } from './wire.js';

/** Cursors in one frame. */
export const MAX_CURSORS = 200;
/** A replay or gap that was asked for comes within this time, or it is asked for again. */
const REPLY_WITHIN_MS = 8_000;
/** So often the gateway is asked to close one break; then the channel goes on live with a hole. */
const MAX_ATTEMPTS = 3;
/** A hole of more pages than this is not filled: the channel starts again from its latest page. */
export const MAX_PAGES = 5;

export interface RepairHooks {
  request: (body: ClientBody) => Promise<ServerFrame>;
  isOnline: () => boolean;
  /** True while this record is the channel's present one. */
  isCurrent: (record: ChannelRecord) => boolean;
  apply: (record: ChannelRecord, events: readonly WireEvent[]) => void;
  /** Loads the latest page in place of what is here. */
  reset: (record: ChannelRecord) => Promise<void>;
  changed: (record: ChannelRecord) => void;
  report: (error: ParleyError) => void;
}

interface Attempt {
  count: number;
  cursor: number;
  timer: unknown;
}

/** Closes breaks through the gateway (`resume`), and fills holes through history (`GET …/events`). */
export class Repairs {
  readonly #env: Env;
  readonly #rest: Rest;
  readonly #hooks: RepairHooks;
  readonly #attempts = new Map<ChannelRecord, Attempt>();
  readonly #queued = new Set<ChannelRecord>();
  readonly #filling = new Set<ChannelRecord>();
  readonly #sleepers = new Set<() => void>();

  constructor(env: Env, rest: Rest, hooks: RepairHooks) {
    this.#env = env;
    this.#rest = rest;
    this.#hooks = hooks;
  }

  /** A session began. `greeted`: this channel's cursor was in hello, so a replay comes by itself if one is due. */
  begin(record: ChannelRecord, greeted: boolean): void {
    this.#forget(record);
    if (record.chain.repairing && greeted) this.#watch(record);
    else if (record.chain.repairing) this.#ask(record);
    this.fill(record);
  }

  /** The session is gone; the next hello carries the cursors. */
  lost(): void {
    for (const attempt of this.#attempts.values()) this.#env.clock.clearTimeout(attempt.timer);
    this.#attempts.clear();
    this.#queued.clear();
  }

  /** Those that wait to reach history try again now. */
  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  onEvent(record: ChannelRecord, event: WireEvent): void {
    this.#take(record, record.chain.event(event));
  }

  onReplay(record: ChannelRecord, replay: Replay): void {
    const step = record.chain.replay(replay);
    if (replay.more) this.#watch(record);
    this.#take(record, step);
  }

  onGap(record: ChannelRecord, gap: Gap): void {
    this.#take(record, record.chain.gap(gap));
  }

  /** Fills the holes of a channel until there are none. */
  fill(record: ChannelRecord): void {
    if (record.chain.holes.length === 0 || this.#filling.has(record)) return;
    if (!record.opened) return forgetPast(record);
    this.#filling.add(record);
    this.#fillAll(record)
      .catch((error: unknown) => this.#hooks.report(asError(error)))
      .finally(() => {
        this.#filling.delete(record);
        this.#hooks.changed(record);
      });
  }

  #take(record: ChannelRecord, step: ChainStep): void {
    if (step.dropAbove !== undefined) record.store.dropAbove(step.dropAbove);
    this.#hooks.apply(record, step.apply);
    if (step.repair) this.#ask(record);
    else if (!record.chain.repairing) this.#forget(record);
    this.fill(record);
    this.#hooks.changed(record);
  }

  /** Asks the gateway, later with each attempt that did not move the cursor; in the end it goes on without. */
  #ask(record: ChannelRecord): void {
    const { cursor } = record.chain;
    const known = this.#attempts.get(record);
    const count = known && known.cursor === cursor ? known.count + 1 : 0;
    this.#env.clock.clearTimeout(known?.timer);
    if (count >= MAX_ATTEMPTS) return this.#skip(record);
    const attempt: Attempt = { count, cursor, timer: undefined };
    this.#attempts.set(record, attempt);
    const queue = () => {
      if (this.#queued.size === 0) queueMicrotask(() => this.#flush());
      this.#queued.add(record);
    };
    if (count === 0) queue();
    else attempt.timer = this.#env.clock.setTimeout(queue, backoff(count - 1, REPAIR, this.#env.random()));
  }

  #flush(): void {
    const records = [...this.#queued].filter((record) => record.chain.repairing && this.#hooks.isCurrent(record));
    this.#queued.clear();
    for (let i = 0; i < records.length; i += MAX_CURSORS) {
      const part = records.slice(i, i + MAX_CURSORS);
      for (const record of part) this.#watch(record);
      this.#hooks.request({ type: 'resume', cursors: part.map(cursorOf) }).catch((thrown: unknown) => {
        const error = asError(thrown);
        if (error.code === 'connection_lost') return;
        this.#hooks.report(error);
        if (!isTemporary(error)) for (const record of part) this.#skip(record);
      });
    }
  }

  /** If nothing has come by then, asks again. */
  #watch(record: ChannelRecord): void {
    const attempt = this.#attempts.get(record) ?? { count: 0, cursor: record.chain.cursor, timer: undefined };
    this.#attempts.set(record, attempt);
    this.#env.clock.clearTimeout(attempt.timer);
    attempt.timer = this.#env.clock.setTimeout(() => this.#ask(record), REPLY_WITHIN_MS);
  }

  #skip(record: ChannelRecord): void {
    this.#forget(record);
    if (record.chain.repairing) this.#take(record, record.chain.skip());
  }

  #forget(record: ChannelRecord): void {
    this.#env.clock.clearTimeout(this.#attempts.get(record)?.timer);
    this.#attempts.delete(record);
    this.#queued.delete(record);
  }

  async #fillAll(record: ChannelRecord): Promise<void> {
    let failures = 0;
    let pages = 0;
    while (this.#hooks.isCurrent(record) && record.chain.holes.length > 0) {
      if (pages >= MAX_PAGES) {
        await this.#reset(record);
        pages = 0;
        failures++;
      } else if (await this.#fillPage(record)) {
        pages++;
        failures = 0;
        continue;
      } else {
        failures++;
      }
      if (record.chain.holes.length === 0) return;
      this.#askForHole(record);
      await this.#sleep(backoff(failures - 1, REPAIR, this.#env.random()));
    }
  }

  /** Fetches one page of the oldest hole. False: history does not have it, or cannot be reached. */
  async #fillPage(record: ChannelRecord): Promise<boolean> {
    const { from } = record.chain.holes[0]!;
    try {
      const page = await this.#rest.events(record.id, from);
      if (!this.#hooks.isCurrent(record) || page.throughSeq <= from) return false;
      this.#hooks.apply(record, record.chain.fill(from, page.throughSeq, page.events));
      this.#hooks.changed(record);
      return true;
    } catch (thrown) {
      const error = asError(thrown);
      if (isTemporary(error)) return false;
      if (error.status === 401 || error.status === 403 || error.status === 404) throw error;
      await this.#reset(record); // history does not know this cursor
      return false;
    }
  }

  async #reset(record: ChannelRecord): Promise<void> {
    try {
      await this.#hooks.reset(record);
    } catch (thrown) {
      if (!isTemporary(asError(thrown))) throw thrown;
    }
  }

  /** History lags or is away: perhaps the gateway still has it. Its replay fills the hole. */
  #askForHole(record: ChannelRecord): void {
    if (!this.#hooks.isOnline()) return;
    const seq = record.chain.holes[0]!.from;
    const cursors = [{ channelId: record.id, epoch: record.chain.epoch, seq }];
    this.#hooks.request({ type: 'resume', cursors }).catch(() => {});
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#env.clock.clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = this.#env.clock.setTimeout(wake, ms);
      this.#sleepers.add(wake);
    });
  }
}

/** Nobody has looked at this channel: what is missing is loaded with its history, once somebody does. */
function forgetPast(record: ChannelRecord): void {
  const { chain, store } = record;
  record.liveSince = chain.cursor;
  chain.fill(0, chain.cursor, []);
  store.dropBelow(chain.cursor + 1);
}

export function cursorOf(record: ChannelRecord): Cursor {
  return { channelId: record.id, epoch: record.chain.epoch, seq: record.chain.cursor };
}
