import type { StatusFields } from '@parley/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { readStatus, saveStatus } from './people.js';
import { endsOf, endText } from './peopleText.js';

type Mode = NonNullable<StatusFields['mode']>;

const MODES: { mode: Mode; label: string; help: string }[] = [
  { mode: 'automatic', label: 'Automatic', help: 'Online while you are here, away after five minutes' },
  { mode: 'away', label: 'Away', help: 'Others see you as away' },
  { mode: 'dnd', label: 'Do not disturb', help: 'Others see that you do not want to be disturbed' },
  { mode: 'invisible', label: 'Invisible', help: 'Others see you as offline' },
];

const PRESETS = [
  ['📅', 'In a meeting'],
  ['🎧', 'Concentrating'],
  ['🚌', 'On the way'],
  ['🤒', 'Ill'],
  ['🌴', 'On holiday'],
] as const;

/** What one says of oneself. It is loaded when the dialog opens, and saved as a whole. */
export function StatusDialog({ close }: { close: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const [status, setStatus] = useState<StatusFields>();
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const [ends] = useState(() => endsOf(Date.now()));
  useEffect(() => {
    box.current?.showModal();
    readStatus().then(setStatus, () => setProblem('Your status cannot be loaded now. Close this and try again in a moment.'));
  }, []);
  const change = (part: Partial<StatusFields>) => setStatus((now) => without({ ...now, ...part }));
  const save = (event: Event) => {
    event.preventDefault();
    if (!status || busy) return;
    setBusy(true);
    saveStatus(status).then(close, (error: { code?: string; message?: string }) => {
      setBusy(false);
      setProblem(explain(error));
    });
  };
  return (
    <dialog class="card dialog" ref={box} onClose={close} aria-labelledby="status-title">
      <form onSubmit={save}>
        <h2 id="status-title">Your status</h2>
        {status && (
          <>
            <Says status={status} change={change} />
            <Until label="Remove the text" at={status.textUntil} ends={ends} never="when I change it" set={(textUntil) => change({ textUntil })} />
            <Modes status={status} change={change} />
            {(status.mode ?? 'automatic') !== 'automatic' && (
              <Until label="Back to automatic" at={status.modeUntil} ends={ends} never="when I change it" set={(modeUntil) => change({ modeUntil })} />
            )}
            <label class="check">
              <input type="checkbox" checked={status.hideLastSeen ?? false} onChange={(event) => change({ hideLastSeen: event.currentTarget.checked })} />
              Do not tell others when I was here last
            </label>
          </>
        )}
        <p class="problem" role="alert">{problem}</p>
        <div class="dialog-row">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="primary" aria-disabled={!status || busy}>Save</button>
        </div>
      </form>
    </dialog>
  );
}

interface Part {
  status: StatusFields;
  change: (part: Partial<StatusFields>) => void;
}

function Says({ status, change }: Part) {
  return (
    <fieldset>
      <legend>What others read beside your name</legend>
      <div class="says">
        <input class="emoji" aria-label="Emoji" maxLength={16} placeholder="🙂" value={status.emoji ?? ''} onInput={(event) => change({ emoji: event.currentTarget.value.trim() })} />
        <input aria-label="Status text" maxLength={140} placeholder="What are you up to?" value={status.text ?? ''} onInput={(event) => change({ text: event.currentTarget.value })} />
      </div>
      <div class="presets">
        {PRESETS.map(([emoji, text]) => (
          <button key={text} type="button" onClick={() => change({ emoji, text })}><span aria-hidden="true">{emoji} </span>{text}</button>
        ))}
        <button type="button" onClick={() => change({ emoji: '', text: '' })}>Nothing</button>
      </div>
    </fieldset>
  );
}

function Modes({ status, change }: Part) {
  return (
    <fieldset>
      <legend>Availability</legend>
      {MODES.map(({ mode, label, help }) => (
        <label key={mode} class="check">
          <input type="radio" name="mode" checked={(status.mode ?? 'automatic') === mode} onChange={() => change({ mode, modeUntil: '' })} />
          <span>{label}<span class="muted"> – {help}</span></span>
        </label>
      ))}
    </fieldset>
  );
}

interface UntilProps {
  label: string;
  at: string | undefined;
  ends: { key: string; label: string; at: number }[];
  never: string;
  set: (at: string) => void;
}

function Until({ label, at, ends, never, set }: UntilProps) {
  const known = ends.find((end) => new Date(end.at).toISOString() === at);
  const choose = (key: string) => {
    const end = ends.find((each) => each.key === key);
    if (key !== 'kept') set(end ? new Date(end.at).toISOString() : '');
  };
  return (
    <label class="until">
      {label}
      <select value={at ? (known?.key ?? 'kept') : 'never'} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="never">{never}</option>
        {at && !known && <option value="kept">{endText(Date.parse(at), Date.now())}</option>}
        {ends.map((end) => <option key={end.key} value={end.key}>{end.label}</option>)}
      </select>
    </label>
  );
}

/** Times that were taken back are left out, and so is the end of a text that is empty. */
function without(status: StatusFields): StatusFields {
  const { modeUntil, textUntil, ...rest } = status;
  const says = Boolean(rest.text || rest.emoji);
  return { ...rest, ...(modeUntil ? { modeUntil } : {}), ...(textUntil && says ? { textUntil } : {}) };
}

function explain(error: { code?: string; message?: string }): string {
  if (error.code === 'rate_limited') return 'You have changed your status very often. Try again later.';
  if (error.code === 'connection_lost') return 'You are not connected. Try again when you are.';
  if (error.code === 'bad_request') return `This is not accepted: ${error.message}`;
  return 'Your status cannot be saved now. Try again in a moment.';
}
