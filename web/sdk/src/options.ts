import type { ConnectionState } from './connection.js';
import type { ChannelView, Message } from './channel.js';
import type { Env, KeyValueStorage } from './env.js';
import type { ParleyError } from './errors.js';
import type { ChannelPresence } from './presence.js';
import type { TokenProvider } from './token.js';
import type { Typists } from './typing.js';
import type { FileDescriptor } from './upload.js';
import type { Device, MessageType, WireEvent } from './wire.js';

/** What an application gives to the client, and hears of it. */

export interface ClientOptions {
  /** Gives a token; see TokenProvider. */
  token: TokenProvider;
  /** WebSocket address. Default: `/ws` of this page's origin. */
  url?: string;
  /** Address that `/api` hangs from, without a slash at its end. Default: this page's origin. */
  api?: string;
  /** Name and version of the application for the server's log; at most 64 bytes. */
  client?: string;
  /**
   * Keeps unsent messages, so that a reload does not lose them: `sessionStorage` (one tab), or `localStorage` (then no
   * two tabs of one user at the same time). Default: memory only.
   */
  storage?: KeyValueStorage;
  /** Remembers unfinished uploads, so that they go on after a reload: `localStorage`. Default: `storage`. */
  uploads?: KeyValueStorage;
  /** What others see as the kind of this device. Default `web`. */
  device?: Device;
  /** Without input for so many milliseconds others see the user as away; 0: never. Default: 5 minutes. */
  idleAfterMs?: number;
  /** The outside world; for tests and other runtimes. */
  env?: Env;
}

/** What `on` can listen to. */
export interface ClientEvents {
  /** The connection's state changed. */
  state: ConnectionState;
  /** A channel came, went, or changed its name or one's role. */
  channels: readonly ChannelView[];
  /** Something in this channel changed. Collected: at most once per turn of the event loop and channel. */
  channel: ChannelView;
  /** A message of the log that was not here before, live or after a reconnect; not for pages of history. */
  message: Message;
  /** Every event of the log, as it is applied. */
  event: WireEvent;
  /** The presence of these users changed: see `presence(userId)`. */
  presence: readonly string[];
  /** Who of a channel in focus is there changed. */
  channelPresence: ChannelPresence;
  /** Who writes in a channel in focus changed. */
  typing: Typists;
  /** Something that a developer wants to know; the SDK goes on by itself. */
  error: ParleyError;
}

export interface SendOptions {
  /** Default `text`. */
  type?: Exclude<MessageType, 'system'>;
  /** Id of the message that the thread hangs from. */
  threadId?: string;
  /** Id of the message that is answered. */
  replyTo?: string;
  /** Ids of the users who are mentioned. */
  mentions?: readonly string[];
  /** Files that were uploaded for this channel, at most 10. With one the content may be empty. */
  attachments?: readonly FileDescriptor[];
}
