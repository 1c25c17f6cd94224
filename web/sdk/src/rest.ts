import type { Env } from './env.js';
import { asError, ParleyError, type ErrorCode } from './errors.js';
import type { TokenCache } from './token.js';
import type { FileDescriptor } from './upload.js';
import type { Channel, ChannelState, Role, StatusFields, WireEvent, WireMessage } from './wire.js';

/** A request is given up after this long. */
const WITHIN_MS = 15_000;

/** A page of a channel's messages, ascending by sequence. */
export interface MessagePage {
  messages: WireMessage[];
  /** History holds everything up to here; what is above it may be missing from the page. */
  completeThroughSeq: number;
  /** Edits and deletions up to here are in the messages. */
  stateSeq: number;
  hasBefore: boolean;
  hasAfter: boolean;
}

/** A page of a channel's events, ascending: all with fromSeq < seq <= throughSeq that the user may see. */
export interface EventPage {
  events: WireEvent[];
  fromSeq: number;
  throughSeq: number;
  more: boolean;
  epoch: number;
}

export interface Member {
  userId: string;
  /** As last heard; empty: not known yet. */
  name: string;
  role: Role;
}

/** To be sent as it stands here, with a body of exactly `size` bytes and without a token. */
export interface SignedRequest {
  method: string;
  /** May be relative to the API. */
  url: string;
  headers: { name: string; value: string }[];
  part: number;
  size: number;
}

/** How a file is sent; see `files` in docs/openapi.yaml. */
export interface UploadPlan {
  id: string;
  channelId: string;
  name: string;
  size: number;
  contentType: string;
  partSize: number;
  partCount: number;
  /** That need not be sent again. */
  partsThere: number[];
  /** Where there is one part. */
  put?: SignedRequest;
  /** Where a thumbnail was announced. */
  thumbnail?: SignedRequest;
}

/** Which messages: at most one of the three, each a sequence or the id of a message; none: the latest. */
export interface PageQuery {
  before?: number | string;
  after?: number | string;
  around?: number | string;
  /** Messages a page, 1 to 200. */
  limit?: number;
}

/** The REST interface under `/api`. Every method rejects with a ParleyError that carries the HTTP status. */
export class Rest {
  readonly #env: Env;
  readonly #base: string;
  readonly #tokens: TokenCache;

  /** `base` is the address that `/api` hangs from, without a slash at its end; empty: this origin. */
  constructor(env: Env, base: string, tokens: TokenCache) {
    this.#env = env;
    this.#base = base;
    this.#tokens = tokens;
  }

  messages(channelId: string, query: PageQuery = {}): Promise<MessagePage> {
    return this.#call('GET', `/api/channels/${encodeURIComponent(channelId)}/messages${queryOf({ ...query })}`);
  }

  /** The events behind `after`, as many as one page holds. */
  events(channelId: string, after: number, limit = 200): Promise<EventPage> {
    return this.#call('GET', `/api/channels/${encodeURIComponent(channelId)}/events${queryOf({ after, limit })}`);
  }

  /** Channels of the user and open ones, a page at a time: pass `next` of the last page as `after`. */
  channels(after?: string): Promise<{ channels: (ChannelState | { channel: Channel; role: Role })[]; next?: string }> {
    return this.#call('GET', `/api/channels${queryOf({ after })}`);
  }

  createChannel(channel: { name: string; kind: 'open' | 'private'; topic?: string; id?: string }): Promise<Channel> {
    return this.#call('POST', '/api/channels', channel);
  }

  async join(channelId: string): Promise<void> {
    await this.#call('POST', `/api/channels/${encodeURIComponent(channelId)}/join`);
  }

  async leave(channelId: string): Promise<void> {
    await this.#call('POST', `/api/channels/${encodeURIComponent(channelId)}/leave`);
  }

  /** Members of a channel, a page at a time: pass `next` of the last page as `after`. `everyone`: every other user is one, too. */
  members(channelId: string, after?: string, limit = 200): Promise<{ members: Member[]; next: string; everyone: boolean }> {
    return this.#call('GET', `/api/channels/${encodeURIComponent(channelId)}/members${queryOf({ after: after || undefined, limit })}`);
  }

  /** What the user says of himself. */
  status(): Promise<StatusFields> {
    return this.#call('GET', '/api/presence/status');
  }

  createUpload(request: { channelId: string; name: string; size: number; contentType: string }): Promise<UploadPlan> {
    return this.#call('POST', '/api/uploads', request);
  }

  /** What of an upload is there. */
  upload(id: string): Promise<UploadPlan> {
    return this.#call('GET', `/api/uploads/${encodeURIComponent(id)}`);
  }

  async signParts(id: string, parts: readonly { number: number; sha256: string }[]): Promise<SignedRequest[]> {
    const path = `/api/uploads/${encodeURIComponent(id)}/parts`;
    return (await this.#call<{ parts: SignedRequest[] }>('POST', path, { parts })).parts;
  }

  completeUpload(id: string): Promise<FileDescriptor> {
    return this.#call('POST', `/api/uploads/${encodeURIComponent(id)}/complete`);
  }

  /** Another descriptor of a file, for a message of one's own in this channel. */
  describeFile(id: string, channelId: string): Promise<FileDescriptor> {
    return this.#call('POST', `/api/files/${encodeURIComponent(id)}/descriptors`, { channelId });
  }

  async abortUpload(id: string): Promise<void> {
    await this.#call('DELETE', `/api/uploads/${encodeURIComponent(id)}`);
  }

  /** Follows where a file, or its thumbnail, is. */
  file(id: string, thumbnail = false, signal?: AbortSignal): Promise<Response> {
    return this.#answer('GET', `/api/files/${encodeURIComponent(id)}${thumbnail ? '/thumbnail' : ''}`, undefined, signal);
  }

  /** An address that may be relative to the API. */
  absolute(url: string): string {
    return url.startsWith('/') ? this.#base + url : url;
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#answer(method, path, body);
    const text = await response.text();
    try {
      return (text === '' ? {} : JSON.parse(text)) as T;
    } catch {
      throw new ParleyError('internal', 'the server answered with something that is not JSON', 0, response.status);
    }
  }

  /** A token that the server refuses is renewed once. */
  async #answer(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const first = await this.#fetch(method, path, await this.#tokens.get(), body, signal);
    const refused = first.status === 401;
    const response = refused ? await this.#fetch(method, path, await this.#tokens.fresh('refused'), body, signal) : first;
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  async #fetch(method: string, path: string, token: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    const abort = new AbortController();
    const given = () => abort.abort();
    signal?.addEventListener('abort', given); // for as long as the body is read, too
    if (signal?.aborted) given();
    const timer = this.#env.clock.setTimeout(() => abort.abort(), WITHIN_MS);
    const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: 'application/json' };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const payload = body === undefined ? {} : { body: JSON.stringify(body) };
    try {
      return await this.#env.fetch(this.#base + path, { method, headers, signal: abort.signal, ...payload });
    } catch (error) {
      if (signal?.aborted) throw new ParleyError('aborted', `the request for ${path} was given up`);
      if (abort.signal.aborted) throw new ParleyError('timeout', `no answer from ${path} in ${WITHIN_MS} ms`);
      throw asError(error, 'unavailable');
    } finally {
      this.#env.clock.clearTimeout(timer);
    }
  }
}

function queryOf(values: Record<string, string | number | undefined>): string {
  const pairs = Object.entries(values).filter(([, value]) => value !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}`;
}

/** Reads a problem document (RFC 9457). What a proxy answers in its place is told by the status. */
async function problemOf(response: Response): Promise<ParleyError> {
  let problem: { code?: unknown; detail?: unknown; title?: unknown } = {};
  try {
    problem = (await response.json()) as typeof problem;
  } catch {
    // not a problem document
  }
  const code = typeof problem.code === 'string' ? (problem.code as ErrorCode) : codeOf(response.status);
  const text = [problem.detail, problem.title].find((part) => typeof part === 'string' && part !== '');
  const retryMs = Number(response.headers.get('Retry-After') ?? 0) * 1000 || 0;
  return new ParleyError(code, (text as string | undefined) ?? `HTTP ${response.status}`, retryMs, response.status);
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 409) return 'conflict';
  if (status === 413) return 'too_large';
  if (status === 429) return 'rate_limited';
  return status >= 500 ? 'unavailable' : 'bad_request';
}
