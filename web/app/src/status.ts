import type { ConnectionState } from '@parley/sdk';

/** What a person is told about the connection. */
export interface StatusText {
  /** In a word or two, for the corner of the page. */
  short: string;
  /** A sentence; empty while all is well. */
  long: string;
  tone: 'good' | 'busy' | 'bad';
  action?: { label: string; run: 'reconnect' | 'signIn' | 'reload' };
}

/** `now` is the wall clock; it counts the seconds down. */
export function statusText(state: ConnectionState, now: number): StatusText {
  switch (state.status) {
    case 'online':
      return { short: 'Connected', long: '', tone: 'good' };
    case 'idle':
    case 'connecting':
    case 'authenticating':
      return { short: 'Connecting…', long: state.attempt > 0 ? 'Connecting again…' : '', tone: 'busy' };
    case 'waiting':
      return waiting(state, now);
    case 'offline':
      return {
        short: 'Offline',
        long: 'You are offline. What you write is kept and sent as soon as you are back.',
        tone: 'bad',
        action: { label: 'Try now', run: 'reconnect' },
      };
    case 'closed':
      return closed(state);
  }
}

function waiting(state: ConnectionState, now: number): StatusText {
  const seconds = Math.ceil(((state.retryAt ?? now) - now) / 1000);
  const when = seconds > 1 ? `Trying again in ${seconds} seconds.` : 'Trying again…';
  const long = `The connection was lost. ${when} What you write is kept.`;
  return { short: 'Reconnecting…', long, tone: 'busy', action: { label: 'Try now', run: 'reconnect' } };
}

function closed(state: ConnectionState): StatusText {
  const bad = { short: 'Disconnected', tone: 'bad' } as const;
  switch (state.reason) {
    case 'unauthenticated':
      return { ...bad, long: 'Your session has ended.', action: { label: 'Sign in again', run: 'signIn' } };
    case 'forbidden':
      return { ...bad, long: 'You are not allowed to use this chat from here.', action: { label: 'Sign in again', run: 'signIn' } };
    case 'protocol_error':
      return { ...bad, long: 'This page is out of date.', action: { label: 'Reload the page', run: 'reload' } };
    default:
      return { ...bad, long: 'You are disconnected.', action: { label: 'Connect', run: 'reconnect' } };
  }
}
