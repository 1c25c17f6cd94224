import { ParleyClient, ParleyError, type ChannelView, type ConnectionState, type FileDescriptor, type Message } from '@parley/sdk';
import { batch, computed, signal } from '@preact/signals';
import { forget, restore, signIn, tokenProvider, type SignedIn } from './session.js';

/** The state of the page. Components read the signals; the functions below are all that changes them. */
export const me = signal<SignedIn | undefined>(undefined);
export const connection = signal<ConnectionState>({ status: 'idle', attempt: 0 });
export const channels = signal<readonly ChannelView[]>([]);
export const currentId = signal('');
export const current = computed(() => channels.value.find((channel) => channel.id === currentId.value));
/** Messages of others since a channel was last on screen. */
export const unread = signal<ReadonlyMap<string, number>>(new Map());
/** What the polite announcer says. */
export const announcement = signal('');
/** The message that is being edited, by key. */
export const editing = signal('');

/** The session's client; the other parts of the state follow it. */
export const client = signal<ParleyClient | undefined>(undefined);

/** Messages that stay on a page that is open for days. */
const KEEP = 400;

export function start(): void {
  const signedIn = restore();
  if (signedIn) enter(signedIn);
  addEventListener('hashchange', () => select(location.hash.slice(1)));
}

export async function enterAs(name: string): Promise<void> {
  enter(await signIn(name));
}

export function leave(): void {
  client.value?.close();
  client.value = undefined;
  forget();
  batch(() => {
    me.value = undefined;
    channels.value = [];
    unread.value = new Map();
  });
}

export function reconnect(): void {
  client.value?.connect();
}

export function select(channelId: string): void {
  if (!channels.value.some((channel) => channel.id === channelId)) return;
  batch(() => {
    currentId.value = channelId;
    editing.value = '';
    seen(channelId);
  });
  if (location.hash.slice(1) !== channelId) history.replaceState(null, '', `#${channelId}`);
  void client.value?.open(channelId);
}

/** Returns what was wrong, or nothing. */
export function send(content: string, attachments: readonly FileDescriptor[] = []): string | undefined {
  return attempt(() => client.value?.send(currentId.value, content, { attachments }));
}

export function edit(message: Message, content: string): string | undefined {
  return attempt(() => client.value?.edit(message.channelId, message.seq, content));
}

export function remove(message: Message): string | undefined {
  return attempt(() => client.value?.delete(message.channelId, message.seq));
}

export function retry(id: string): void {
  client.value?.retry(id);
}

export function discard(id: string): void {
  client.value?.discard(id);
}

export function loadBefore(): void {
  void client.value?.loadBefore(currentId.value).catch(() => {});
}

/** The reader is at the newest message: older ones may go. */
export function trim(): void {
  const channel = current.value;
  if (channel && channel.messages.length > 2 * KEEP) client.value?.trim(channel.id, KEEP);
}

function enter(signedIn: SignedIn): void {
  const mine = new ParleyClient({ token: tokenProvider(signedIn), client: 'parley-app', storage: sessionStorage, uploads: localStorage });
  batch(() => {
    client.value = mine;
    me.value = signedIn;
  });
  mine.on('state', (state) => (connection.value = state));
  mine.on('channels', showChannels);
  mine.on('channel', (view) => {
    channels.value = channels.value.map((channel) => (channel.id === view.id ? view : channel));
  });
  mine.on('message', (message) => arrived(message));
  mine.connect();
}

function showChannels(views: readonly ChannelView[]): void {
  channels.value = views;
  if (current.value) return void client.value?.open(currentId.value);
  const wanted = views.find((view) => view.id === location.hash.slice(1));
  const first = wanted ?? views.find((view) => view.id === 'general') ?? views[0];
  if (first) select(first.id);
}

let heard: Message[] = [];

function arrived(message: Message): void {
  if (message.own || message.deleted) return;
  if (message.channelId !== currentId.value || document.hidden) {
    const counts = new Map(unread.value);
    counts.set(message.channelId, (counts.get(message.channelId) ?? 0) + 1);
    unread.value = counts;
  }
  if (message.channelId !== currentId.value) return;
  if (heard.length === 0) setTimeout(announce, 400);
  heard.push(message);
}

/** One sentence for whatever came in a moment: a screen reader is not flooded. */
function announce(): void {
  const [first] = heard;
  if (first && heard.length === 1) announcement.value = `${first.senderName || first.senderId}: ${first.content}`;
  else announcement.value = `${heard.length} new messages`;
  heard = [];
}

export function seen(channelId: string): void {
  if (!unread.value.has(channelId)) return;
  const counts = new Map(unread.value);
  counts.delete(channelId);
  unread.value = counts;
}

function attempt(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'too_large') return 'This message is too long. Split it in two.';
    return error instanceof Error ? error.message : String(error);
  }
}
