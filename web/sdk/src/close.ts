/** What a client does when a connection ended. Pure: the table of docs/protocol.md. */

/** Why the SDK stopped for good. */
export type StopReason = 'stopped' | 'unauthenticated' | 'forbidden' | 'protocol_error';

export type ClosePlan = { kind: 'stop'; reason: StopReason } | RetryPlan;

export interface RetryPlan {
  kind: 'retry';
  /** `hint`: as the server's `reconnect` frame said. */
  delay: 'now' | 'hint' | 'backoff';
  freshToken: boolean;
  /** A backoff is not shorter than this, in milliseconds. */
  floorMs: number;
}

/** Nothing special: the network failed, or a server went away without a word. */
export const RETRY: RetryPlan = { kind: 'retry', delay: 'backoff', freshToken: false, floorMs: 0 };

export const CLOSE = {
  goingAway: 1001,
  abnormal: 1006,
  restart: 1012,
  tryLater: 1013,
  protocolError: 4000,
  unauthenticated: 4001,
  tokenExpired: 4002,
  forbidden: 4003,
  handshakeDeadline: 4004,
  idle: 4005,
  tooSlow: 4008,
  tooMany: 4009,
  reconnect: 4010,
} as const;

/** `tokenRefused`: the connection before this one had been refused for its token, too. */
export function planAfterClose(code: number, tokenRefused: boolean): ClosePlan {
  switch (code) {
    case CLOSE.protocolError:
      return { kind: 'stop', reason: 'protocol_error' };
    case CLOSE.forbidden:
      return { kind: 'stop', reason: 'forbidden' };
    case CLOSE.unauthenticated:
      if (tokenRefused) return { kind: 'stop', reason: 'unauthenticated' };
      return { ...RETRY, delay: 'now', freshToken: true };
    case CLOSE.tokenExpired:
      return { ...RETRY, delay: 'now', freshToken: true };
    case CLOSE.idle:
    case CLOSE.reconnect:
      return { ...RETRY, delay: 'now' };
    case CLOSE.restart:
      return { ...RETRY, delay: 'hint' };
    case CLOSE.tooSlow:
      return { ...RETRY, floorMs: 1_000 };
    case CLOSE.tryLater:
      return { ...RETRY, floorMs: 5_000 };
    case CLOSE.tooMany:
      return { ...RETRY, floorMs: 10_000 };
    default:
      return RETRY;
  }
}
