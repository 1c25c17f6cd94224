import { timeOf, type Availability, type ChannelPresenceFrame, type Device, type PresenceFrame, type WireUserPresence } from './wire.js';

/** Where a user stands, as others see him. Objects are never changed, only replaced. */
export interface UserPresence {
  readonly userId: string;
  /** `invisible` only of oneself; others see `offline`. */
  readonly availability: Availability;
  /** Kinds of devices that are connected, each once. */
  readonly devices: readonly Device[];
  readonly statusText: string;
  /** One emoji, or a name like `:palm_tree:`. */
  readonly statusEmoji: string;
  /** Text and emoji end then, in milliseconds since 1970; 0: not known, or never. */
  readonly statusUntil: number;
  /** Of those who are offline, to the minute; 0: not known, or hidden. */
  readonly lastSeenAt: number;
}

/** Who of a channel is there. */
export interface ChannelPresence {
  readonly channelId: string;
  readonly members: number;
  /** Members who were not offline when this was told; where there is a list, `presence` has what changed since. */
  readonly online: number;
  /** Open to everyone, or too large for a list: `userIds` is empty. */
  readonly counted: boolean;
  /** Members who were not offline when this was told; `presence` has what changed since. */
  readonly userIds: readonly string[];
}

/** What the server has told of watched users and of channels in focus. What is neither any more is forgotten. */
export class PresenceStore {
  readonly #users = new Map<string, UserPresence>();
  readonly #channels = new Map<string, ChannelPresence>();
  /** Members of a channel in focus of whom a change came, and the channels whose next list may be the one that names them. */
  readonly #newcomers = new Map<string, Set<string>>();
  #watched: ReadonlySet<string> = new Set();

  user(userId: string): UserPresence | undefined {
    return this.#users.get(userId);
  }

  channel(channelId: string): ChannelPresence | undefined {
    return this.#channels.get(channelId);
  }

  /** Returns the users of whom something changed. Who is not watched, while no list is in focus, was told before the set changed. */
  onPresence(frame: PresenceFrame): string[] {
    const changed: string[] = [];
    const listed = [...this.#channels.values()].filter((channel) => !channel.counted).map((channel) => channel.channelId);
    for (const wire of frame.users ?? []) {
      const watched = this.#watched.has(wire.userId);
      if (!watched && listed.length === 0) continue;
      if (!watched) this.#newcomers.set(wire.userId, new Set(listed));
      this.#users.set(wire.userId, userOf(wire));
      changed.push(wire.userId);
    }
    for (const userId of frame.hiddenUserIds ?? []) if (this.#users.delete(userId)) changed.push(userId);
    return changed;
  }

  /** Returns the users of whom something changed: those in the list, and those who have left it. */
  onChannel(frame: ChannelPresenceFrame): string[] {
    const { channelId, members, online, counted, users = [] } = frame;
    const before = this.#channels.get(channelId)?.userIds ?? [];
    for (const wire of users) this.#users.set(wire.userId, userOf(wire));
    this.#channels.set(channelId, { channelId, members, online, counted, userIds: users.map((wire) => wire.userId) });
    this.#listed([channelId]);
    return [...new Set([...before, ...users.map((wire) => wire.userId)]), ...this.#forget()];
  }

  /** Returns the users of whom nothing is known any more. */
  watch(userIds: readonly string[]): string[] {
    this.#watched = new Set(userIds);
    return this.#forget();
  }

  /** Returns the users of whom nothing is known any more. */
  focus(channelIds: readonly string[]): string[] {
    const left = [...this.#channels.keys()].filter((channelId) => !channelIds.includes(channelId));
    for (const channelId of left) this.#channels.delete(channelId);
    this.#listed(left);
    return this.#forget();
  }

  clear(): void {
    this.#users.clear();
    this.#channels.clear();
    this.#newcomers.clear();
  }

  /** These name no newcomer any more: their lists have come, or will not. */
  #listed(channelIds: readonly string[]): void {
    for (const [userId, channels] of this.#newcomers) {
      for (const channelId of channelIds) channels.delete(channelId);
      if (channels.size === 0) this.#newcomers.delete(userId);
    }
  }

  #forget(): string[] {
    const listed = new Set([...this.#channels.values()].flatMap((channel) => channel.userIds));
    const keep = (userId: string) => this.#watched.has(userId) || listed.has(userId) || this.#newcomers.has(userId);
    const gone = [...this.#users.keys()].filter((userId) => !keep(userId));
    for (const userId of gone) this.#users.delete(userId);
    return gone;
  }
}

function userOf(wire: WireUserPresence): UserPresence {
  return {
    userId: wire.userId,
    availability: wire.availability ?? 'offline',
    devices: wire.devices ?? [],
    statusText: wire.statusText ?? '',
    statusEmoji: wire.statusEmoji ?? '',
    statusUntil: timeOf(wire.statusUntil),
    lastSeenAt: timeOf(wire.lastSeenAt),
  };
}
