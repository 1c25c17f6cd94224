import { ParleyError, type FileDescriptor, type UnfinishedUpload } from '@parley/sdk';
import { effect, signal } from '@preact/signals';
import { announcement, client, currentId } from './model.js';
import { fileProblem } from './fileText.js';

/** Files on their way into a message. */
export interface Draft {
  readonly key: number;
  readonly channelId: string;
  readonly file: File;
  readonly phase: 'preparing' | 'sending' | 'checking' | 'done' | 'failed';
  /** Bytes that are there. */
  readonly sent: number;
  /** What went wrong, and what can be done. */
  readonly problem: string;
  readonly descriptor?: FileDescriptor;
  /** Address of the image on this device; empty: none. */
  readonly preview: string;
}

export const drafts = signal<readonly Draft[]>([]);
/** Uploads to the open channel that an earlier visit has begun. */
export const unfinished = signal<readonly UnfinishedUpload[]>([]);

/** Files of one message; docs/protocol.md, OutgoingMessage. */
export const MAX_FILES = 10;

const PREVIEWED = /^image\/(png|jpeg|webp|gif|avif)$/;
const running = new Map<number, AbortController>();
let nextKey = 1;

export function startUploads(): void {
  effect(() => {
    if (client.value) return refresh(currentId.value);
    for (const draft of drafts.peek()) drop(draft);
    drafts.value = unfinished.value = [];
  });
}

export const draftsOf = (channelId: string): readonly Draft[] => drafts.value.filter((draft) => draft.channelId === channelId);

/** Begins to upload. Returns what was wrong, or nothing. */
export function addFiles(channelId: string, files: Iterable<File>): string | undefined {
  const chosen = [...files];
  const room = MAX_FILES - draftsOf(channelId).length;
  for (const file of chosen.slice(0, Math.max(0, room))) {
    const preview = PREVIEWED.test(file.type) ? URL.createObjectURL(file) : '';
    const draft: Draft = { key: nextKey++, channelId, file, phase: 'preparing', sent: 0, problem: '', preview };
    drafts.value = [...drafts.value, draft];
    void run(draft);
  }
  refresh(channelId);
  return chosen.length > room ? `A message takes ${MAX_FILES} files at most. Send these first.` : undefined;
}

/** Tries a failed one again: what is there already is not sent a second time. */
export function tryAgain(draft: Draft): void {
  change(draft.key, { phase: 'preparing', problem: '' });
  void run(draft);
}

/** Takes a file out of the message; gives the upload up when it is under way. */
export function remove(draft: Draft): void {
  drop(draft);
  drafts.value = drafts.value.filter((each) => each.key !== draft.key);
}

/** The files for a message, which are no drafts any more; or what has to happen first. */
export function take(channelId: string): readonly FileDescriptor[] | string {
  const mine = draftsOf(channelId);
  if (mine.some((draft) => draft.phase === 'failed')) return 'A file was not uploaded. Try it again, or remove it.';
  const descriptors = mine.flatMap((draft) => draft.descriptor ?? []);
  return descriptors.length < mine.length ? 'A file is still being uploaded. Wait a moment, or remove it.' : descriptors;
}

/** Their message was taken. */
export function sent(channelId: string): void {
  for (const draft of draftsOf(channelId)) drop(draft);
  drafts.value = drafts.value.filter((draft) => draft.channelId !== channelId);
}

export function forget(upload: UnfinishedUpload): void {
  unfinished.value = unfinished.value.filter(({ id }) => id !== upload.id);
  void client.value?.files.forget(upload.id).finally(() => refresh(upload.channelId));
}

async function run(draft: Draft): Promise<void> {
  const { key, channelId, file } = draft;
  const abort = new AbortController();
  running.set(key, abort);
  const mine = client.value;
  try {
    const descriptor = await mine!.upload(channelId, file, {
      signal: abort.signal,
      onProgress: ({ phase, sent: bytes }) => change(key, { phase, sent: bytes }),
    });
    change(key, { phase: 'done', sent: file.size, descriptor });
    announcement.value = `${file.name} is ready to be sent.`;
  } catch (error) {
    change(key, { phase: 'failed', problem: fileProblem(error instanceof ParleyError ? error.code : '', error instanceof Error ? error.message : '') });
  } finally {
    if (running.get(key) === abort) running.delete(key);
    if (client.value === mine) refresh(channelId);
  }
}

function change(key: number, part: Partial<Draft>): void {
  drafts.value = drafts.value.map((draft) => (draft.key === key ? { ...draft, ...part } : draft));
}

function drop(draft: Draft): void {
  running.get(draft.key)?.abort();
  running.delete(draft.key);
  if (draft.preview) URL.revokeObjectURL(draft.preview);
}

/** Those that are not on their way again. */
function refresh(channelId: string): void {
  if (channelId !== currentId.value) return;
  const busy = drafts.peek().filter((draft) => draft.channelId === channelId && draft.phase !== 'done').map((draft) => `${draft.file.name}/${draft.file.size}`);
  unfinished.value = client.value?.files.unfinished(channelId).filter(({ name, size }) => !busy.includes(`${name}/${size}`)) ?? [];
}
