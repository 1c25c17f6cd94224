import type { ChannelPresence, ChannelView, Member, ParleyClient, StatusFields, Typists, UserPresence } from '@parley/sdk';
import { computed, effect, signal, untracked, type Signal } from '@preact/signals';
import { channels, client, current, currentId, me } from './model.js';
import { named } from './peopleText.js';

/** Who is here and who writes: the part of the page's state that follows people. */

/** Who of the open channel is here. */
export const room = signal<ChannelPresence | undefined>(undefined);
/** Who writes in the open channel. */
export const typists = signal<Typists | undefined>(undefined);
/** Members of direct channels, and of channels whose list was opened. */
export const members = signal<ReadonlyMap<string, readonly Member[]>>(new Map());
/** The list of members is on screen. */
export const listOpen = signal(false);

/** The other one of a conversation of two. */
export const partners = computed(() => {
  const found = new Map<string, Member>();
  for (const [channelId, list] of members.value) {
    const others = list.filter((member) => member.userId !== me.value?.userId);
    if (others.length === 1 && isDirect(channelId)) found.set(channelId, others[0]!);
  }
  return found;
});

/**
 * Who of the open channel is here, as of now: where there is a list, the server tells of each who comes and goes, and the count is that of
 * the list.
 */
export const roomNow = computed<ChannelPresence | undefined>(() => {
  const told = room.value;
  const list = told && !told.counted ? members.value.get(told.channelId) : undefined;
  if (!told || !list || list.length !== told.members) return told;
  const online = list.filter((member) => !['offline', 'invisible'].includes(presenceOf(member.userId).value?.availability ?? 'offline')).length;
  return { ...told, online };
});

/** Sets that change while somebody scrolls or switches are told once. Milliseconds. */
const CALM_MS = 200;
/** Direct channels whose partner is looked up: the first ones. */
const MAX_DIRECT = 100;

const isDirect = (channelId: string): boolean => channels.value.some((channel) => channel.id === channelId && channel.info.kind === 'direct');

/** One cell for each user that was shown: what is drawn again is only what shows him. */
const cells = new Map<string, Signal<UserPresence | undefined>>();

export function presenceOf(userId: string): Signal<UserPresence | undefined> {
  let cell = cells.get(userId);
  if (!cell) {
    cell = signal(untracked(() => client.value)?.presence(userId));
    cells.set(userId, cell);
  }
  return cell;
}

export function startPeople(): void {
  effect(() => (client.value ? follow(client.value) : undefined));
}

function follow(mine: ParleyClient): () => void {
  const visible = signal(!document.hidden);
  let counted = '';
  const look = () => (visible.value = !document.hidden);
  document.addEventListener('visibilitychange', look);
  const stops = [
    mine.on('presence', (userIds) => {
      for (const userId of userIds) presenceOf(userId).value = mine.presence(userId);
      unnamed(mine, userIds.filter((userId) => mine.presence(userId)?.devices.length));
    }),
    mine.on('channelPresence', (channel) => channel.channelId === currentId.value && (room.value = channel)),
    mine.on('typing', (typing) => {
      unnamed(mine, typing.userIds);
      if (typing.channelId === currentId.value && typing.threadId === '') typists.value = typing;
    }),
    mine.on('message', (message) => (members.value = named(members.value, message.senderId, message.senderName))),
    effect(() => {
      room.value = mine.channelPresence(currentId.value);
      typists.value = mine.typists(currentId.value);
      mine.focus(visible.value && currentId.value ? [currentId.value].slice(0, mine.maxFocus) : []);
    }),
    effect(() => calmly(mine, wanted())),
    effect(() => {
      const told = room.value;
      if (!told || told.counted || counted === `${told.channelId} ${told.members}`) return;
      counted = `${told.channelId} ${told.members}`; // again when somebody has joined or left
      void load(mine, told.channelId);
    }),
    effect(() => {
      if (listOpen.value && currentId.value) void load(mine, currentId.value);
    }),
    effect(() => {
      const direct = channels.value.filter((channel) => channel.info.kind === 'direct').slice(0, MAX_DIRECT);
      void untracked(() => loadAll(mine, direct));
    }),
  ];
  return () => {
    document.removeEventListener('visibilitychange', look);
    stops.forEach((stop) => stop());
    clearTimeout(timer);
    cells.clear();
    for (const { timer: waiting } of asked.values()) clearTimeout(waiting);
    asked.clear();
    members.value = new Map();
    room.value = typists.value = undefined;
    listOpen.value = false;
  };
}

let timer: ReturnType<typeof setTimeout> | undefined;

function calmly(mine: ParleyClient, userIds: string[]): void {
  clearTimeout(timer);
  timer = setTimeout(() => mine.watch(userIds.slice(0, mine.maxWatch)), CALM_MS);
}

/** Who is to be watched, the most important first: oneself, the partners of direct channels, who wrote in the open channel, and its members where they are listed. */
function wanted(): string[] {
  const ids = new Set<string>();
  if (me.value) ids.add(me.value.userId);
  for (const partner of partners.value.values()) ids.add(partner.userId);
  const messages = current.value?.messages ?? [];
  for (let i = messages.length - 1; i >= 0; i--) ids.add(messages[i]!.senderId);
  if (listOpen.value) members.value.get(currentId.value)?.forEach((member) => ids.add(member.userId));
  ids.delete('system');
  return [...ids];
}

async function loadAll(mine: ParleyClient, direct: readonly ChannelView[]): Promise<void> {
  for (const channel of direct) if (!members.value.has(channel.id)) await load(mine, channel.id);
}

/** The first page. It is tried again when it is asked for again. */
async function load(mine: ParleyClient, channelId: string): Promise<void> {
  const page = await mine.rest.members(channelId).catch(() => undefined);
  if (page && client.value === mine) members.value = new Map(members.value).set(channelId, page.members);
}

/** So soon the members are asked for again for the sake of a name; then half as often each time, in the end only with news of him. Milliseconds. */
const NAME_MS = 1_000;
const NAME_PATIENT_MS = 30_000;
const NAME_MAX_MS = 300_000;
const asked = new Map<string, { wait: number; timer: ReturnType<typeof setTimeout> | undefined }>();

const nameless = (channelId: string, userIds: readonly string[]): boolean =>
  members.value.get(channelId)?.some((member) => member.name === '' && userIds.includes(member.userId)) ?? false;

/** These are here, and the server learns their names as they come: where one has none in a list, there will be a newer one. */
function unnamed(mine: ParleyClient, userIds: readonly string[]): void {
  const lists = untracked(() => [...members.value.keys()].filter((channelId) => nameless(channelId, userIds)));
  for (const channelId of lists) {
    if (!asked.get(channelId)?.timer) askAgain(mine, channelId, userIds, asked.get(channelId)?.wait ?? NAME_MS);
  }
}

function askAgain(mine: ParleyClient, channelId: string, userIds: readonly string[], wait: number): void {
  const ask = async () => {
    await load(mine, channelId);
    if (client.value !== mine) return;
    asked.delete(channelId);
    if (!nameless(channelId, userIds)) return;
    const next = Math.min(2 * wait, NAME_MAX_MS);
    if (next < NAME_PATIENT_MS) askAgain(mine, channelId, userIds, next);
    else asked.set(channelId, { wait: next, timer: undefined });
  };
  asked.set(channelId, { wait, timer: setTimeout(() => void ask(), wait) });
}

/** The name of a user, where the page knows it. */
export function nameOf(userId: string): string {
  const known = members.value.get(currentId.value)?.find((member) => member.userId === userId)?.name;
  return known || current.value?.messages.findLast((message) => message.senderId === userId)?.senderName || '';
}

/** What a channel is called: a conversation of two by the other one. */
export function titleOf(channel: ChannelView): string {
  return partners.value.get(channel.id)?.name || channel.info.name || channel.id;
}

export function writing(channelId: string, text: string): void {
  if (text.trim() === '') client.value?.stopTyping(channelId);
  else client.value?.typing(channelId);
}

export function stoppedWriting(channelId: string): void {
  client.value?.stopTyping(channelId);
}

/** What one says of oneself, as it is kept. */
export function readStatus(): Promise<StatusFields> {
  return client.value?.rest.status() ?? Promise.reject(new Error('not signed in'));
}

export function saveStatus(status: StatusFields): Promise<void> {
  return client.value?.setStatus(status) ?? Promise.reject(new Error('not signed in'));
}
