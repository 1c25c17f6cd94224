/** Parley's client SDK: everything that an application needs to chat. */
export { ParleyClient, VERSION } from './client.js';
export type { ChannelView, HistoryState, Message, Progress } from './channel.js';
export type { StopReason } from './close.js';
export type { ConnectionState, Status } from './connection.js';
export { browserEnv, type Clock, type Env, type FileEnv, type KeyValueStorage, type Picture, type Signals, type SocketLike, type Transfer } from './env.js';
export { isTemporary, ParleyError, type ErrorCode } from './errors.js';
export type { ClientEvents, ClientOptions, SendOptions } from './options.js';
export type { ChannelPresence, UserPresence } from './presence.js';
export { Rest, type EventPage, type Member, type MessagePage, type PageQuery, type SignedRequest, type UploadPlan } from './rest.js';
export type { StoredMessage } from './store.js';
export type { TokenProvider } from './token.js';
export type { Typists } from './typing.js';
export { Files, type FileDescriptor, type UploadOptions, type UploadProgress } from './upload.js';
export type { UnfinishedUpload } from './uploadMemory.js';
export { uuidv7 } from './uuid.js';
export type { Attachment, Availability, Channel, ChannelState, Cursor, Device, MessageType, Role, StatusFields, WireEvent, WireMessage } from './wire.js';
