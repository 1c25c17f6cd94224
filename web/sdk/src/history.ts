import { backoff, REPAIR } from './backoff.js';
import type { ChannelRecord } from './channel.js';
import type { Env } from './env.js';
import { asError, isTemporary, type ParleyError } from './errors.js';
import type { MessagePage, Rest } from './rest.js';

/** Messages a page. */
export const PAGE_SIZE = 50;

export interface HistoryHooks {
  isCurrent: (record: ChannelRecord) => boolean;
  changed: (record: ChannelRecord) => void;
  /** Holes may have come. */
  fill: (record: ChannelRecord) => void;
}

/** Loads a channel's past by pages: the latest when it is opened, older ones on demand. */
export class History {
  readonly #env: Env;
  readonly #rest: Rest;
  readonly #hooks: HistoryHooks;
  readonly #retries = new Map<ChannelRecord, { count: number; timer: unknown }>();

  constructor(env: Env, rest: Rest, hooks: HistoryHooks) {
    this.#env = env;
    this.#rest = rest;
    this.#hooks = hooks;
  }

  /** Loads the latest page, once. When history cannot be reached it is tried again until it can. */
  async open(record: ChannelRecord): Promise<void> {
    if (record.history === 'loading' || record.history === 'ready') return;
    record.opened = true;
    record.history = 'loading';
    this.#hooks.changed(record);
    try {
      await this.reload(record);
      this.#retries.delete(record);
    } catch (thrown) {
      this.#failed(record, asError(thrown));
    }
    this.#hooks.changed(record);
  }

  /** Puts the latest page in the place of what is here. What came live and is newer than the page stays. */
  async reload(record: ChannelRecord): Promise<void> {
    const page = await this.#rest.messages(record.id, { limit: PAGE_SIZE });
    if (!this.#hooks.isCurrent(record)) return;
    adoptLatest(record, page);
    record.history = 'ready';
    record.historyError = undefined;
    this.#hooks.changed(record);
    this.#hooks.fill(record);
  }

  /** Loads the page before the first message. Resolves to the number of messages that came. */
  async before(record: ChannelRecord, limit = PAGE_SIZE): Promise<number> {
    const { firstSeq } = record;
    if (record.loadingBefore || !record.hasBefore || firstSeq === 0) return 0;
    record.loadingBefore = true;
    this.#hooks.changed(record);
    try {
      const page = await this.#rest.messages(record.id, { before: firstSeq, limit });
      if (record.firstSeq !== firstSeq) return 0; // the window has moved meanwhile
      record.store.addPage(page.messages, page.stateSeq);
      record.hasBefore = page.hasBefore && page.messages.length > 0;
      record.historyError = undefined;
      return page.messages.length;
    } catch (thrown) {
      record.historyError = asError(thrown);
      throw record.historyError;
    } finally {
      record.loadingBefore = false;
      this.#hooks.changed(record);
    }
  }

  /** Keeps the latest `keep` messages and forgets the older ones; they can be loaded again. */
  trim(record: ChannelRecord, keep: number): void {
    const { messages } = record.store;
    const first = messages[messages.length - keep];
    if (keep < 1 || !first || messages.length <= keep) return;
    record.store.dropBelow(first.seq);
    record.hasBefore = true;
    record.chain.fill(0, first.seq - 1, []);
    this.#hooks.changed(record);
  }

  /** Those that wait for history try again now. */
  wake(): void {
    for (const [record, retry] of this.#retries) {
      this.#env.clock.clearTimeout(retry.timer);
      void this.open(record);
    }
  }

  stop(): void {
    for (const retry of this.#retries.values()) this.#env.clock.clearTimeout(retry.timer);
    this.#retries.clear();
  }

  #failed(record: ChannelRecord, error: ParleyError): void {
    record.history = 'unavailable';
    record.historyError = error;
    if (!isTemporary(error) || !this.#hooks.isCurrent(record)) return;
    const count = this.#retries.get(record)?.count ?? 0;
    const delay = backoff(count, REPAIR, this.#env.random());
    const timer = this.#env.clock.setTimeout(() => void this.open(record), delay);
    this.#retries.set(record, { count: count + 1, timer });
  }
}

/**
 * The latest page becomes the beginning of the window. History may lag behind what came live: then the part between the
 * page and the first live event is a hole.
 */
function adoptLatest(record: ChannelRecord, page: MessagePage): void {
  const { chain, store } = record;
  const known = Math.min(page.completeThroughSeq, page.stateSeq || page.completeThroughSeq);
  store.addPage(page.messages, page.stateSeq);
  const first = page.messages[0];
  const dropped = first ? store.dropBelow(first.seq) : 0;
  record.hasBefore = page.hasBefore || dropped > 0;
  chain.fill(0, known, []);
  chain.addHole(known, record.liveSince);
  record.liveSince = 0;
}
