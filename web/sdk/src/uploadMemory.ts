import type { Clock, KeyValueStorage } from './env.js';

/** Unfinished uploads that are remembered; the oldest go first. */
const MOST = 50;

/** An upload that was begun. */
export interface UnfinishedUpload {
  readonly id: string;
  readonly channelId: string;
  readonly name: string;
  readonly size: number;
}

interface Entry extends UnfinishedUpload {
  readonly lastModified: number;
  readonly at: number;
}

/** Remembers over a reload which upload belongs to which file. A file is known by channel, name, size and time of its last change. */
export class UploadMemory {
  readonly #storage: KeyValueStorage | undefined;
  readonly #user: () => string;
  readonly #clock: Clock;

  constructor(storage: KeyValueStorage | undefined, user: () => string, clock: Clock) {
    this.#storage = storage;
    this.#user = user;
    this.#clock = clock;
  }

  /** The ids of all that are of this file, the oldest first. */
  find(channelId: string, file: File): readonly string[] {
    const fits = (entry: Entry) =>
      entry.channelId === channelId && entry.name === file.name && entry.size === file.size && entry.lastModified === file.lastModified;
    return this.#read().filter(fits).map(({ id }) => id);
  }

  list(channelId: string): readonly UnfinishedUpload[] {
    return this.#read().filter((entry) => entry.channelId === channelId);
  }

  remember(id: string, channelId: string, file: File): void {
    const { name, size, lastModified } = file;
    const entry = { id, channelId, name, size, lastModified, at: this.#clock.wall() };
    this.#write([...this.#read(), entry].slice(-MOST));
  }

  forget(id: string): void {
    const entries = this.#read();
    const left = entries.filter((entry) => entry.id !== id);
    if (left.length < entries.length) this.#write(left);
  }

  #read(): Entry[] {
    try {
      const value: unknown = JSON.parse(this.#storage?.getItem(this.#key()) ?? '[]');
      return Array.isArray(value) ? value.filter(isEntry) : [];
    } catch {
      return [];
    }
  }

  #write(entries: readonly Entry[]): void {
    try {
      if (entries.length === 0) this.#storage?.removeItem(this.#key());
      else this.#storage?.setItem(this.#key(), JSON.stringify(entries));
    } catch {
      // full or forbidden: a reload begins anew
    }
  }

  #key(): string {
    return `parley.uploads.${this.#user()}`;
  }
}

function isEntry(value: unknown): value is Entry {
  const entry = value as Partial<Entry> | null;
  return typeof entry?.id === 'string' && typeof entry.channelId === 'string' && typeof entry.name === 'string'
    && typeof entry.size === 'number' && typeof entry.lastModified === 'number';
}
