import { useEffect, useState } from 'preact/hooks';
import { announcement, connection, leave, reconnect } from './model.js';
import { statusText, type StatusText } from './status.js';

/** Troubles that pass within this time are not worth a banner. */
const PATIENCE_MS = 1_200;

const ACTIONS = { reconnect, signIn: leave, reload: () => location.reload() };

export function ConnectionDot() {
  const { short, tone } = statusText(connection.value, Date.now());
  return (
    <p class={`dot ${tone}`} data-status={connection.value.status}>
      <span class="bulb" aria-hidden="true" />
      <span class="word">{short}</span>
    </p>
  );
}

export function StatusBar() {
  const now = useSeconds(connection.value.status !== 'online');
  const status = statusText(connection.value, now);
  const shown = useTrouble(status);
  return (
    <div class="status-place">
      {shown && status.long !== '' && (
        <div class={`status ${status.tone}`}>
          <span>{status.long}</span>
          {status.action && (
            <button type="button" onClick={ACTIONS[status.action.run]}>{status.action.label}</button>
          )}
        </div>
      )}
    </div>
  );
}

/** True once the trouble has lasted; tells the announcer when it began to matter, and when it is over. */
function useTrouble(status: StatusText): boolean {
  const trouble = status.tone !== 'good';
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!trouble) {
      if (shown) announcement.value = 'Connected again.';
      setShown(false);
      return undefined;
    }
    const timer = setTimeout(() => {
      setShown(true);
      announcement.value = status.short;
    }, PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [trouble]);
  return shown;
}

/** The wall clock, once a second while `running`. */
function useSeconds(running: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [running]);
  return Math.max(now, running ? 0 : Date.now());
}
