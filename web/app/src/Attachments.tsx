import { ParleyError, type Attachment, type Message } from '@parley/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { boxOf, isShown, kindText, sizeText } from './fileText.js';
import { client } from './model.js';

/** An image without a thumbnail is shown up to this size. Bytes. */
const SHOWN_BYTES = 5_000_000;
/** A file that is being checked is asked for again after this time, where the server does not name one. Milliseconds. */
const AGAIN_MS = 5_000;

/** The files of a message: images as such, everything else as a row. */
export function Attachments({ message }: { message: Message }) {
  if (message.attachments.length === 0) return null;
  return (
    <ul class="files" aria-label="Files">
      {message.attachments.map((file) => (
        <li key={file.id}>
          {isShown(file.contentType) && (file.thumbnail || file.size <= SHOWN_BYTES) ? <Picture file={file} /> : <Row file={file} />}
        </li>
      ))}
    </ul>
  );
}

type Loaded = { state: 'loading' | 'checking' | 'failed' | 'gone' } | { state: 'ready'; url: string };

/** The box has its size before the image is here, and keeps it whatever comes. */
function Picture({ file }: { file: Attachment }) {
  const box = useRef<HTMLButtonElement>(null);
  const [near, setNear] = useState(false);
  const [open, setOpen] = useState(false);
  const [image, retry] = useImage(file, file.thumbnail !== undefined, near);
  const { width, height } = boxOf(file.width || (file.thumbnail?.width ?? 0), file.height || (file.thumbnail?.height ?? 0));
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && setNear(true), { rootMargin: '400px' });
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const press = () => (image.state === 'ready' ? setOpen(true) : retry());
  return (
    <>
      <button type="button" class="picture" ref={box} data-state={image.state} style={{ width: `${width}px`, aspectRatio: `${width} / ${height}` }} onClick={press}>
        {image.state === 'ready' ? <img src={image.url} alt={`Image ${file.name}`} /> : <span class="picture-text">{wordsOf(image.state, file)}</span>}
      </button>
      {open && <Large file={file} close={() => setOpen(false)} />}
    </>
  );
}

function wordsOf(state: Loaded['state'], file: Attachment): string {
  if (state === 'checking') return `${file.name} is being checked…`;
  if (state === 'gone') return `${file.name} was removed.`;
  if (state === 'failed') return `${file.name} cannot be loaded. Try again`;
  return `Image ${file.name}`;
}

function Large({ file, close }: { file: Attachment; close: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const [image] = useImage(file, false, true);
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog class="large" ref={box} onClose={close} aria-label={file.name} onClick={(event) => event.target === box.current && close()}>
      {image.state === 'ready' ? <img src={image.url} alt={`Image ${file.name}`} /> : <p>{image.state === 'loading' ? 'Loading…' : wordsOf(image.state, file)}</p>}
      <div class="dialog-row">
        <Save file={file} />
        <button type="button" onClick={close}>Close</button>
      </div>
    </dialog>
  );
}

/** Loads an image once it is wanted. It is asked for again while it is being checked. */
function useImage(file: Attachment, thumbnail: boolean, wanted: boolean): [Loaded, () => void] {
  const [image, setImage] = useState<Loaded>({ state: 'loading' });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!wanted) return undefined;
    const abort = new AbortController();
    let url = '';
    let timer: ReturnType<typeof setTimeout> | undefined;
    const loaded = (blob: Blob) => {
      if (abort.signal.aborted) return;
      url = URL.createObjectURL(blob);
      setImage({ state: 'ready', url });
    };
    const failed = (error: unknown) => {
      if (abort.signal.aborted) return;
      const state = stateOf(error);
      setImage({ state });
      const wait = (error instanceof ParleyError && error.retryMs) || AGAIN_MS;
      if (state === 'checking') timer = setTimeout(() => setAttempt(attempt + 1), wait);
    };
    client.value?.files.read(file.id, { thumbnail, signal: abort.signal }).then(loaded, failed);
    return () => {
      abort.abort();
      clearTimeout(timer);
      if (url) URL.revokeObjectURL(url);
    };
  }, [file.id, thumbnail, wanted, attempt]);
  return [image, () => setAttempt(attempt + 1)];
}

function stateOf(error: unknown): Exclude<Loaded['state'], 'ready'> {
  const code = error instanceof ParleyError ? error.code : '';
  if (code === 'conflict') return 'checking';
  return code === 'not_found' ? 'gone' : 'failed';
}

function Row({ file }: { file: Attachment }) {
  return (
    <div class="file">
      <span class="kind" aria-hidden="true">{kindText(file.name, file.contentType)}</span>
      <span class="upload-text">
        <bdi class="upload-name">{file.name}</bdi>
        <span class="muted">{kindText(file.name, file.contentType)}, {sizeText(file.size)}</span>
      </span>
      <Save file={file} />
    </div>
  );
}

const TROUBLE = {
  checking: 'It is still being checked. Try again in a moment.',
  gone: 'It was removed.',
  failed: 'It cannot be loaded now. Try again in a moment.',
  loading: '',
} as const;

/** The address is made when it is wanted: it ends after a minute. */
function Save({ file }: { file: Attachment }) {
  const [problem, setProblem] = useState('');
  const save = async () => {
    setProblem('');
    try {
      const link = document.createElement('a');
      link.href = await client.value!.files.address(file.id);
      link.download = file.name;
      link.rel = 'noopener';
      link.click();
    } catch (error) {
      setProblem(TROUBLE[stateOf(error)]);
    }
  };
  return (
    <span class="upload-row">
      {problem !== '' && <span class="problem" role="alert">{problem}</span>}
      <button type="button" onClick={() => void save()}>Save<span class="sr-only"> {file.name}</span></button>
    </span>
  );
}
