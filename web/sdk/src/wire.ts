/**
 * The frames of the client protocol as JSON: proto/parley/v1/client.proto and event.proto, where the name of a frame's
 * set body stands in `type` and its fields beside it. Timestamps are RFC 3339 strings; sequences are numbers below 2^53.
 */

export type MessageType = 'text' | 'image' | 'file' | 'system';
export type Role = 'none' | 'guest' | 'member' | 'moderator' | 'owner';

/** A channel as members see it. */
export interface Channel {
  id: string;
  kind: 'open' | 'private' | 'direct';
  name: string;
  topic: string;
  /** Every user is a member without having joined. */
  everyone: boolean;
  historyVisibility: 'all' | 'joined';
  /** Nobody may write. */
  archived: boolean;
  version: number;
  createdAt?: string;
  createdBy: string;
}

/** A file of a message, as the upload service found it to be. */
export interface Attachment {
  readonly id: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** By what is in it, not by what its sender says. */
  readonly contentType: string;
  readonly sha256: string;
  /** Pixels of an image or film; 0: not known. */
  readonly width: number;
  readonly height: number;
  /** A small image of it, where there is one. */
  readonly thumbnail?: { readonly contentType: string; readonly size: number; readonly width: number; readonly height: number };
}

export interface WireMessage {
  id: string;
  channelId: string;
  senderId: string;
  senderName: string;
  content: string;
  type: MessageType;
  threadId: string;
  replyTo: string;
  mentions: string[];
  createdAt?: string;
  updatedAt?: string;
  seq: number;
  deleted: boolean;
  /** Not there in what an older server sends. */
  attachments?: readonly Attachment[];
}

/** One entry of a channel's log. Exactly one of the optional bodies is set; a newer server may send none that is known. */
export interface WireEvent {
  channelId: string;
  seq: number;
  /** Sequence of the channel's event before this one; 0: first, or unknown. */
  prev: number;
  id: string;
  actorId: string;
  createdAt?: string;
  message?: WireMessage;
  messageEdited?: { targetSeq: number; targetId: string; content: string; mentions?: string[] };
  messageDeleted?: { targetSeq: number; targetId: string };
  memberJoined?: { userId: string; name: string; role: Role; version: number };
  memberLeft?: { userId: string; removed: boolean; version: number };
  memberChanged?: { userId: string; role: Role; version: number };
  channelChanged?: { channel: Channel };
  removed?: { reason: 'deleted' | 'duplicate' | 'rejected' };
}

/** Where a client stands in a channel: the last event that it has applied. */
export interface Cursor {
  channelId: string;
  epoch: number;
  seq: number;
}

export interface ChannelState {
  channel: Channel;
  role: Role;
  epoch: number;
  headSeq: number;
}

/** What others see as the kind of a device. */
export type Device = 'web' | 'desktop' | 'mobile' | 'bot';

/** What a user says of himself; see `status` in docs/protocol.md. Times are RFC 3339. */
export interface StatusFields {
  mode?: 'automatic' | 'away' | 'dnd' | 'invisible';
  /** `automatic` again from then on. */
  modeUntil?: string;
  /** One line of at most 140 characters. */
  text?: string;
  /** One emoji, or a name like `:palm_tree:`; at most 32 bytes. */
  emoji?: string;
  /** Text and emoji end then. */
  textUntil?: string;
  hideLastSeen?: boolean;
}

/** Where a user stands; `invisible` only to himself. */
export type Availability = 'offline' | 'online' | 'away' | 'dnd' | 'invisible';

export interface WireUserPresence {
  userId: string;
  availability: Availability;
  devices?: Device[];
  statusText?: string;
  statusEmoji?: string;
  statusUntil?: string;
  lastSeenAt?: string;
}

export interface PresenceFrame {
  type: 'presence';
  ref: number;
  /** All of the watched set; else only what changed. */
  snapshot: boolean;
  users?: WireUserPresence[];
  /** Unknown, or sharing no channel. */
  hiddenUserIds?: string[];
}

export interface ChannelPresenceFrame {
  type: 'channelPresence';
  ref: number;
  channelId: string;
  members: number;
  online: number;
  /** There is no list: the channel is open to everyone, or too large. */
  counted: boolean;
  users?: WireUserPresence[];
}

export interface TypingFrame {
  type: 'typing';
  ref: number;
  channelId: string;
  threadId?: string;
  userIds?: string[];
  more?: number;
}

export interface OutgoingMessage {
  id: string;
  content: string;
  type: MessageType;
  threadId: string;
  replyTo: string;
  mentions: string[];
  /** Descriptors of the upload service. */
  attachments?: string[];
}

export type ClientBody =
  | { type: 'hello'; token: string; cursors: Cursor[]; client: string; compress: boolean; device: Device }
  | { type: 'auth'; token: string }
  | { type: 'resume'; cursors: Cursor[] }
  | {
      type: 'send';
      channelId: string;
      message: OutgoingMessage;
      retry: boolean;
      retryAgeMs: number;
    }
  | {
      type: 'edit';
      channelId: string;
      id: string;
      targetSeq: number;
      content: string;
      mentions: string[];
      retry: boolean;
      retryAgeMs: number;
    }
  | { type: 'delete'; channelId: string; id: string; targetSeq: number; retry: boolean; retryAgeMs: number }
  | { type: 'idle'; idle: boolean }
  | ({ type: 'status' } & StatusFields)
  | { type: 'watch'; userIds: readonly string[] }
  | { type: 'focus'; channelIds: readonly string[] }
  | { type: 'typing'; channelId: string; threadId: string; stopped: boolean }
  | { type: 'ping' };

export interface Ready {
  type: 'ready';
  ref: number;
  userId: string;
  name: string;
  sessionId: string;
  channels: ChannelState[];
  serverTime?: string;
  tokenExpiresAt?: string;
  /** The client pings at least this often, in milliseconds. */
  heartbeatMs: number;
  maxContentBytes: number;
  /** Users of `watch`, and channels of `focus`. Not there in what an older server sends: 500 and 16. */
  maxWatch?: number;
  maxFocus?: number;
}

export interface Ack {
  type: 'ack';
  ref: number;
  id: string;
  channelId: string;
  seq: number;
  createdAt?: string;
  duplicate: boolean;
}

export interface Replay {
  type: 'replay';
  ref: number;
  channelId: string;
  epoch: number;
  fromSeq: number;
  throughSeq: number;
  events: WireEvent[];
  more: boolean;
}

export interface Gap {
  type: 'gap';
  ref: number;
  channelId: string;
  epoch: number;
  fromSeq: number;
  headSeq: number;
  reason: string;
}

export type ServerFrame =
  | Ready
  | { type: 'authenticated'; ref: number; tokenExpiresAt?: string }
  | Ack
  | ({ type: 'event'; ref: number } & WireEvent)
  | Replay
  | Gap
  | { type: 'error'; ref: number; code: string; message: string; retryMs: number }
  | { type: 'pong'; ref: number }
  | { type: 'channelAdded'; ref: number; state: ChannelState }
  | { type: 'channelRemoved'; ref: number; channelId: string; removed: boolean }
  | PresenceFrame
  | ChannelPresenceFrame
  | TypingFrame
  | { type: 'reconnect'; ref: number; afterMs: number };

/** The subprotocol that the SDK speaks: newline-delimited JSON, many frames in one WebSocket message. */
export const SUBPROTOCOL = 'parley.v1.json';

/** Writes one frame. Zero values may be left out by the protocol; they are small, so they are written. */
export function encodeFrame(ref: number, body: ClientBody): string {
  return JSON.stringify({ ref, ...body });
}

/**
 * Reads the frames of one WebSocket message. A line that is not a frame is handed to `bad` and skipped: what it may have
 * carried is found missing by the chain check.
 */
export function decodeFrames(text: string, bad: (line: string) => void): ServerFrame[] {
  const frames: ServerFrame[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const frame = decodeLine(line);
    if (frame) frames.push(frame);
    else bad(line);
  }
  return frames;
}

function decodeLine(line: string): ServerFrame | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    const frame = value as { type?: unknown; ref?: unknown };
    if (typeof frame.type !== 'string') return undefined;
    if (typeof frame.ref !== 'number') frame.ref = 0;
    return frame as ServerFrame;
  } catch {
    return undefined;
  }
}

/** Milliseconds since 1970 of an RFC 3339 time; 0 when there is none. */
export function timeOf(text: string | undefined): number {
  const time = text ? Date.parse(text) : 0;
  return Number.isNaN(time) ? 0 : time;
}
