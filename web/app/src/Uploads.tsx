import { kindText, sizeText } from './fileText.js';
import { draftsOf, forget, remove, tryAgain, unfinished, type Draft } from './uploads.js';

/** Files that will go with the message, above the text. */
export function Uploads({ channelId, choose }: { channelId: string; choose: () => void }) {
  const drafts = draftsOf(channelId);
  if (drafts.length === 0 && unfinished.value.length === 0) return null;
  return (
    <ul class="uploads" aria-label="Files of this message">
      {drafts.map((draft) => <Item key={draft.key} draft={draft} />)}
      {unfinished.value.map((upload) => (
        <li key={upload.id} class="upload">
          <span class="kind" aria-hidden="true">{kindText(upload.name, '')}</span>
          <span class="upload-text">
            <bdi class="upload-name">{upload.name}</bdi>
            <span class="muted">{sizeText(upload.size)}, not finished: choose it again, and it goes on where it was.</span>
          </span>
          <span class="upload-row">
            <button type="button" onClick={choose}>Choose <span class="sr-only">{upload.name} </span>again</button>
            <button type="button" onClick={() => forget(upload)}>Forget<span class="sr-only"> {upload.name}</span></button>
          </span>
        </li>
      ))}
    </ul>
  );
}

function Item({ draft }: { draft: Draft }) {
  const { file, phase, sent } = draft;
  const busy = phase !== 'done' && phase !== 'failed';
  return (
    <li class="upload" data-phase={phase}>
      {draft.preview ? <img class="kind" src={draft.preview} alt="" /> : <span class="kind" aria-hidden="true">{kindText(file.name, file.type)}</span>}
      <span class="upload-text">
        <bdi class="upload-name">{file.name}</bdi>
        {busy && <progress aria-label={`Upload of ${file.name}`} max={file.size} value={phase === 'preparing' ? 0 : sent} />}
        {phase === 'failed' ? <span class="problem" role="alert">{draft.problem}</span> : <span class="muted">{stateText(draft)}</span>}
      </span>
      <span class="upload-row">
        {phase === 'failed' && <button type="button" onClick={() => tryAgain(draft)}>Try again<span class="sr-only"> {file.name}</span></button>}
        <button type="button" onClick={() => remove(draft)}>{busy ? 'Cancel' : 'Remove'}<span class="sr-only"> {file.name}</span></button>
      </span>
    </li>
  );
}

function stateText({ phase, sent, file, descriptor }: Draft): string {
  if (phase === 'preparing') return 'Preparing…';
  if (phase === 'checking') return 'Being checked…';
  if (phase === 'done' && descriptor?.state === 'checking') return `${sizeText(file.size)}, ready; others can open it once it was checked`;
  if (phase === 'done') return `${sizeText(file.size)}, ready to be sent`;
  return `${sizeText(sent)} of ${sizeText(file.size)}`;
}
