import type { FileEnv, Picture, Transfer } from './env.js';
import { ParleyError } from './errors.js';

/** What a browser can do with files: send them with progress, hash them, and make small images of them. */
export function platformFiles(): FileEnv | undefined {
  if (typeof XMLHttpRequest === 'undefined') return undefined;
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined; // not there on pages without https
  const paints = typeof createImageBitmap === 'function' && typeof document !== 'undefined';
  const locks = globalThis.navigator?.locks as LockManager | undefined; // as subtle
  return { transfer, ...(locks ? { claim: (name) => claimWith(locks, name) } : {}), ...(subtle ? { sha256: (data) => hashWith(subtle, data) } : {}), ...(paints ? { picture } : {}) };
}

/** `fetch` does not tell how much was sent. */
function transfer({ method, url, headers, body, signal, onProgress }: Transfer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const done = (settle: () => void) => {
      signal.removeEventListener('abort', abort);
      settle();
    };
    request.open(method, url);
    for (const [name, value] of headers) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => done(() => resolve({ status: request.status, text: request.responseText }));
    request.onerror = () => done(() => reject(new ParleyError('unavailable', 'the store of files cannot be reached')));
    request.onabort = () => done(() => reject(new ParleyError('aborted', 'the upload was given up')));
    if (signal.aborted) return request.onabort(undefined as never);
    signal.addEventListener('abort', abort);
    request.send(body);
  });
}

async function hashWith(subtle: SubtleCrypto, data: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await subtle.digest('SHA-256', data));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function claimWith(locks: LockManager, name: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve, reject) => {
    const held = locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(undefined);
      return new Promise<void>((letGo) => resolve(() => {
        letGo();
        return held.then(() => undefined);
      }));
    });
    held.catch(reject);
  });
}

/** Of the server: docs/openapi.yaml, ThumbnailRequest. */
const THUMBNAIL_PX = 512;
const THUMBNAIL_BYTES = 256 * 1024;
/** An image this small is its own thumbnail. Bytes. */
const SMALL_BYTES = 64 * 1024;
/** Larger images are not decoded for a thumbnail. Bytes. */
const DECODED_BYTES = 64 * 1024 * 1024;
const PAINTED = /^image\/(png|jpeg|webp|gif|avif|bmp)$/;

async function picture(file: Blob): Promise<Picture | undefined> {
  if (!PAINTED.test(file.type) || file.size > DECODED_BYTES) return undefined;
  const bitmap = await createImageBitmap(file).catch(() => undefined); // what the browser cannot show is a file like others
  if (!bitmap) return undefined;
  const { width, height } = bitmap;
  const small = Math.max(width, height) <= THUMBNAIL_PX && file.size <= SMALL_BYTES;
  const thumbnail = small ? undefined : await paint(bitmap);
  bitmap.close();
  return { width, height, ...(thumbnail ? { thumbnail } : {}) };
}

/** As good as it can be within its bytes. */
async function paint(bitmap: ImageBitmap): Promise<Picture['thumbnail']> {
  for (const [px, quality] of [[THUMBNAIL_PX, 0.82], [THUMBNAIL_PX, 0.6], [THUMBNAIL_PX / 2, 0.6]] as const) {
    const scale = Math.min(1, px / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/webp', quality));
    if (blob && blob.size <= THUMBNAIL_BYTES) return { blob, width: canvas.width, height: canvas.height };
  }
  return undefined;
}
