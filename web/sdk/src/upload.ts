import { backoff, RESEND } from './backoff.js';
import type { Env, FileEnv, KeyValueStorage, Picture } from './env.js';
import { asError, isTemporary, ParleyError } from './errors.js';
import type { Rest, SignedRequest, UploadPlan } from './rest.js';
import { UploadMemory, type UnfinishedUpload } from './uploadMemory.js';
import { uuidv7 } from './uuid.js';
import type { Attachment } from './wire.js';

/** Parts under way at a time, at most. */
const AT_ONCE_MAX = 6;
/** So often what is missing is sent when the server says at the end that not all of it is there: a store may lose a part. */
const MAX_ROUNDS = 2;
/** So often a request is tried again, with backoff: about a minute and a half. */
const MAX_TRIES = 7;
/** A signed request that the store refuses is asked for anew so often: it may have been too old. */
const MAX_SIGNED = 2;
/** Up to this size a file goes in one request, and its hash is announced. Bytes; docs/openapi.yaml, `files`. */
const ONE_REQUEST = 16 * 1024 * 1024;

/** What `complete` gives: the only thing that a message may carry. */
export interface FileDescriptor {
  readonly attachment: Attachment;
  /** Signed, for this user and channel. */
  readonly descriptor: string;
  readonly channelId: string;
  readonly expiresAt?: string;
  /** `checking`: members cannot read it before a scanner has released it. Not there from an older server: `ready`. */
  readonly state?: 'ready' | 'checking' | 'quarantined';
}

export interface UploadProgress {
  /** `preparing`: reading it, making a thumbnail. `sending`. `checking`: the server looks at it. */
  readonly phase: 'preparing' | 'sending' | 'checking';
  /** Bytes of the file that are there. */
  readonly sent: number;
  readonly total: number;
}

export interface UploadOptions {
  onProgress?: (progress: UploadProgress) => void;
  /** Gives the upload up for good: what was sent is removed. Who only leaves the page can go on later. */
  signal?: AbortSignal;
  /**
   * Parts of a large file under way at a time, 1 to 6; default 1. Whatever ends in the middle, the page, the network or the server, costs what was sent of
   * the parts under way: with 1 never more than one part is sent again. More are faster where the way is long.
   */
  atOnce?: number;
}

/** Files: sends them to the store, in parts and again where an earlier attempt ended, and reads them. */
export class Files {
  readonly #env: Env;
  readonly #rest: Rest;
  readonly #memory: UploadMemory;
  /** Uploads that are on their way from here. */
  readonly #running = new Set<string>();

  /** `user` names who is signed in; uploads are remembered by him. */
  constructor(env: Env, rest: Rest, storage: KeyValueStorage | undefined, user: () => string) {
    this.#env = env;
    this.#rest = rest;
    this.#memory = new UploadMemory(storage, user, env.clock);
  }

  /** See `ParleyClient.upload`. */
  async upload(channelId: string, file: File, options: UploadOptions = {}): Promise<FileDescriptor> {
    const { files } = this.#env;
    if (!files) throw new ParleyError('bad_request', 'files cannot be sent from here');
    if (file.size === 0) throw new ParleyError('bad_request', 'the file is empty');
    const claimed: (() => Promise<void>)[] = [];
    const claim = async (id: string): Promise<boolean> => {
      const letGo = await this.#claim(id);
      if (letGo) claimed.push(letGo);
      return letGo !== undefined;
    };
    const job = new Job(this.#env, files, this.#rest, this.#memory, claim, channelId, file, options);
    try {
      return await job.run();
    } catch (thrown) {
      const error = readable(thrown);
      if (options.signal?.aborted) await this.#abandon(job.plan?.id);
      else if (!isTemporary(error) && job.plan) this.#memory.forget(job.plan.id);
      throw options.signal?.aborted ? new ParleyError('aborted', 'the upload was given up') : error;
    } finally {
      await Promise.all(claimed.map((letGo) => letGo()));
    }
  }

  /** Uploads to a channel that were begun, not completed, and are not on their way from here: the same file, chosen again, goes on where it was. */
  unfinished(channelId: string): readonly UnfinishedUpload[] {
    return this.#memory.list(channelId).filter(({ id }) => !this.#running.has(id));
  }

  /** Gives an unfinished upload up. One that is on its way, here or in another tab, goes on: abort it there. */
  async forget(uploadId: string): Promise<void> {
    const letGo = await this.#claim(uploadId);
    if (!letGo) return;
    await this.#abandon(uploadId).finally(letGo);
  }

  /** The bytes of a file, or of its thumbnail. Rejects with `conflict` and a `retryMs` while it is being checked, `not_found` when it is gone. */
  async read(fileId: string, options: { thumbnail?: boolean; signal?: AbortSignal } = {}): Promise<Blob> {
    const response = await this.#rest.file(fileId, options.thumbnail ?? false, options.signal);
    return response.blob();
  }

  /** An address that leads to the file for a minute, for a link or a player. */
  async address(fileId: string): Promise<string> {
    const end = new AbortController();
    const response = await this.#rest.file(fileId, false, end.signal);
    end.abort(); // only where it leads to was wanted
    return response.url;
  }

  /** Takes an upload for one attempt, so that nobody else goes on with it. Undefined: somebody does, here or in another tab. */
  async #claim(id: string): Promise<(() => Promise<void>) | undefined> {
    if (this.#running.has(id)) return undefined;
    this.#running.add(id);
    const claim = this.#env.files?.claim ?? (() => Promise.resolve(() => Promise.resolve()));
    const letGo = await claim(`parley.upload.${id}`).catch(() => () => Promise.resolve());
    if (!letGo) this.#running.delete(id);
    return letGo && (() => letGo().finally(() => this.#running.delete(id)));
  }

  /** What the server does not hear of is removed by itself when its time is over. */
  async #abandon(uploadId: string | undefined): Promise<void> {
    if (!uploadId) return;
    this.#memory.forget(uploadId);
    await this.#rest.abortUpload(uploadId).catch(() => {});
  }
}

/** What an earlier attempt has left. */
interface Begun {
  readonly plan?: UploadPlan;
  /** It is completed. */
  readonly done?: FileDescriptor;
}

/** One upload from its first request to its descriptor. */
class Job {
  plan: UploadPlan | undefined;
  readonly #stop = new AbortController();
  readonly #inFlight = new Map<number, number>();
  #there = 0;

  constructor(
    readonly env: Env,
    readonly files: FileEnv,
    readonly rest: Rest,
    readonly memory: UploadMemory,
    /** False: somebody else is at this upload. */
    readonly claim: (id: string) => Promise<boolean>,
    readonly channelId: string,
    readonly file: File,
    readonly options: UploadOptions,
  ) {}

  async run(): Promise<FileDescriptor> {
    const stop = () => this.#stop.abort();
    this.options.signal?.addEventListener('abort', stop);
    if (this.options.signal?.aborted) stop();
    try {
      this.#check();
      this.#tell('preparing');
      const picture = await this.files.picture?.(this.file).catch(() => undefined);
      const begun = await this.#resumed(picture);
      if (begun?.done) return begun.done;
      this.plan = begun?.plan ?? (await this.#created(picture));
      this.#check();
      const done = await this.#sendAndComplete(this.plan, picture).catch((error: unknown) => this.#completedElsewhere(error));
      this.memory.forget(this.plan.id);
      return done;
    } finally {
      this.options.signal?.removeEventListener('abort', stop);
      this.#stop.abort(); // nothing of it goes on by itself
    }
  }

  /** An earlier attempt that nobody is at: its plan, or what it has become without anybody hearing of it. */
  async #resumed(picture: Picture | undefined): Promise<Begun | undefined> {
    for (const id of this.memory.find(this.channelId, this.file)) {
      if (!(await this.claim(id))) continue;
      const plan = await this.#again(() => this.rest.upload(id)).catch(unlessOver);
      if (plan && this.#fits(plan, picture)) return { plan };
      // The server goes on with a completion whose answer nobody waits for: then it is a file, and completing it again tells which
      const done = plan ? undefined : await this.#again(() => this.rest.completeUpload(id)).catch(unlessOver);
      this.memory.forget(id);
      if (done && this.#isMine(done)) return { done };
    }
    return undefined;
  }

  /** The thumbnail has to be the one that was announced then. */
  #fits(plan: UploadPlan, picture: Picture | undefined): boolean {
    return plan.size === this.file.size && (!plan.thumbnail || plan.thumbnail.size === picture?.thumbnail?.blob.size);
  }

  #isMine({ attachment, channelId }: FileDescriptor): boolean {
    return attachment.size === this.file.size && channelId === this.channelId;
  }

  async #created(picture: Picture | undefined): Promise<UploadPlan> {
    const { channelId, file } = this;
    const head = { channelId, name: file.name, size: file.size, contentType: typeOf(file) };
    const sha256 = file.size <= ONE_REQUEST && this.files.sha256 ? await this.files.sha256(await file.arrayBuffer()) : '';
    const clientId = uuidv7(this.env.clock.wall(), this.env.randomBytes(16)); // where an answer is lost, it is not begun twice
    const announced = { clientId, ...head, ...(sha256 ? { sha256 } : {}), ...pictureOf(picture) };
    const plan = await this.#again(() => this.rest.createUpload(announced)).catch((thrown: unknown) => {
      const error = asError(thrown);
      if (error.code !== 'bad_request' || !/thumbnail|width|height|clientId/.test(error.message)) throw error;
      return this.rest.createUpload(head); // a server that takes no thumbnails, or no ids
    });
    await this.claim(plan.id); // it is new: nobody else can be at it
    this.memory.remember(plan.id, channelId, file);
    return plan;
  }

  /** It is no upload any more: where pages cannot claim it, another one may have sent the rest, and completed it. */
  async #completedElsewhere(error: unknown): Promise<FileDescriptor> {
    if (asError(error).code !== 'not_found' || !this.plan || this.options.signal?.aborted) throw error;
    const done = await this.rest.completeUpload(this.plan.id).catch(() => undefined);
    if (!done || !this.#isMine(done)) throw error;
    return done;
  }

  /** Where not all of it is there at the end, what is missing is sent, and nothing else. */
  async #sendAndComplete(first: UploadPlan, picture: Picture | undefined): Promise<FileDescriptor> {
    let plan = first;
    for (let round = 1; ; round++) {
      await this.#sendAll(plan, picture);
      this.#tell('checking');
      try {
        return await this.#again(() => this.rest.completeUpload(plan.id));
      } catch (thrown) {
        const error = asError(thrown);
        if (error.code !== 'conflict' || round > MAX_ROUNDS) throw error;
        const now = await this.#again(() => this.rest.upload(plan.id)).catch(() => undefined);
        if (!now) throw error; // it was refused, and removed
        plan = now;
      }
    }
  }

  async #sendAll(plan: UploadPlan, picture: Picture | undefined): Promise<void> {
    this.#there = 0;
    if (plan.thumbnail && picture?.thumbnail) {
      // where it is sealed already, completing goes on; where it is not there, completing says so
      await this.#send(plan.thumbnail, picture.thumbnail.blob, async (taken) => (taken ? undefined : (await this.rest.upload(plan.id)).thumbnail));
    }
    if (plan.partCount === 1) {
      if (plan.partsThere.includes(1)) return;
      const sign = async () => {
        const now = await this.rest.upload(plan.id);
        return now.partsThere.includes(1) ? undefined : now.put;
      };
      await this.#send(plan.put, this.file, sign, 1);
      return;
    }
    if (!this.files.sha256) throw new ParleyError('bad_request', 'files of this size can be sent from a page with https alone');
    await this.#sendParts(plan, this.files.sha256);
  }

  /** When one fails for good, all end. While one is sent, the next one is hashed. */
  async #sendParts(plan: UploadPlan, sha256: NonNullable<FileEnv['sha256']>): Promise<void> {
    const there = new Set(plan.partsThere);
    const numbers = Array.from({ length: plan.partCount }, (_, i) => i + 1);
    const sliceOf = (number: number) => this.file.slice((number - 1) * plan.partSize, number * plan.partSize);
    for (const number of there) this.#there += sliceOf(number).size;
    this.#tell('sending');
    const waiting = numbers.filter((number) => !there.has(number));
    const hashed = async () => {
      const number = waiting.shift();
      return number === undefined ? undefined : { number, sha256: await sha256(await sliceOf(number).arrayBuffer()) };
    };
    const work = async () => {
      let next = hashed();
      for (let mine = await next; mine; mine = await next) {
        const part = mine;
        next = hashed();
        next.catch(() => {}); // it is heard of when its turn comes
        const sign = async (taken: boolean) => {
          if (taken && (await this.rest.upload(plan.id)).partsThere.includes(part.number)) return undefined;
          return (await this.rest.signParts(plan.id, [part]))[0];
        };
        await this.#send(undefined, sliceOf(part.number), sign, part.number);
      }
    };
    const atOnce = Math.min(Math.max(1, Math.trunc(this.options.atOnce || 1)), AT_ONCE_MAX);
    const workers = Array.from({ length: atOnce }, () => work().catch((error: unknown) => {
      this.#stop.abort();
      throw error;
    }));
    const ended = await Promise.allSettled(workers);
    const failed = ended.flatMap((end) => (end.status === 'rejected' ? [asError(end.reason)] : []));
    const first = failed.find((error) => error.code !== 'aborted') ?? failed[0];
    if (first) throw first;
  }

  /**
   * One body. `sign` gets a fresh request where there is none, or it was refused; undefined: it is there. `taken`: the store said that somebody else sends the
   * same, or that it is complete. `number` 0: not part of the file.
   */
  async #send(signed: SignedRequest | undefined, body: Blob, sign: (taken: boolean) => Promise<SignedRequest | undefined>, number = 0): Promise<void> {
    let request = signed;
    let refused = 0;
    let taken = false;
    await this.#again(async () => {
      request ??= await sign(taken);
      if (!request) return;
      const { method, url, headers } = request;
      const target = { method, url: this.rest.absolute(url), headers: headers.map((each) => [each.name, each.value] as const), body };
      const onProgress = (sent: number) => this.#sent(number, Math.min(sent, body.size));
      const answer = await this.files.transfer({ ...target, signal: this.#stop.signal, onProgress });
      if (answer.status >= 200 && answer.status < 300) return;
      request = undefined;
      taken = answer.status === 409;
      this.#sent(number, 0);
      const again = answer.status === 403 && ++refused <= MAX_SIGNED;
      throw storeError(again ? 503 : answer.status, answer.text);
    });
    this.#inFlight.delete(number);
    if (number > 0) this.#there += body.size;
    this.#tell('sending');
  }

  #sent(number: number, bytes: number): void {
    if (number === 0) return;
    this.#inFlight.set(number, bytes);
    this.#tell('sending');
  }

  #tell(phase: UploadProgress['phase']): void {
    if (this.#stop.signal.aborted) return;
    const sent = [...this.#inFlight.values()].reduce((sum, bytes) => sum + bytes, this.#there);
    this.options.onProgress?.({ phase, sent: phase === 'checking' ? this.file.size : sent, total: this.file.size });
  }

  #check(): void {
    if (this.#stop.signal.aborted) throw new ParleyError('aborted', 'the upload was given up');
  }

  /** Errors that say "later" are tried again. */
  async #again<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#check();
      try {
        return await run();
      } catch (thrown) {
        const error = readable(thrown);
        if (!isTemporary(error) || attempt >= MAX_TRIES || this.#stop.signal.aborted) throw error;
        await this.#pause(Math.max(error.retryMs, backoff(attempt, RESEND, this.env.random())));
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      const done = () => {
        this.env.clock.clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.env.clock.setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}

/** `type/subtype` as the server takes it: in lower case, without parameters. */
function typeOf(file: File): string {
  const type = file.type.split(';')[0]!.trim().toLowerCase();
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type) ? type : 'application/octet-stream';
}

function pictureOf(picture: Picture | undefined): object {
  if (!picture) return {};
  const { width, height, thumbnail } = picture;
  const size = width <= 65_535 && height <= 65_535 ? { width, height } : {};
  if (!thumbnail) return size;
  const { blob } = thumbnail;
  return { ...size, thumbnail: { size: blob.size, contentType: blob.type, width: thumbnail.width, height: thumbnail.height } };
}

/** What is over for good is undefined; what may come yet, or was aborted, is thrown. */
function unlessOver(thrown: unknown): undefined {
  const error = asError(thrown);
  if (isTemporary(error) || error.code === 'aborted') throw error;
  return undefined;
}

/** A store answers with XML or with a problem document; the status says what to do. 409: another request for the same came in between. */
function storeError(status: number, text: string): ParleyError {
  const later = status === 0 || status === 408 || status === 409 || status === 429 || status >= 500;
  const detail = /"detail":"([^"]{1,300})"/.exec(text)?.[1] ?? `the store of files answered ${status}`;
  return new ParleyError(later ? 'unavailable' : status === 404 ? 'not_found' : 'bad_request', detail, 0, status);
}

/** A file that was changed or removed on the disk cannot be read again. */
function readable(thrown: unknown): ParleyError {
  const name = (thrown as { name?: unknown } | undefined)?.name;
  if (name === 'NotReadableError' || name === 'NotFoundError') return new ParleyError('bad_request', 'the file cannot be read any more');
  return asError(thrown);
}
