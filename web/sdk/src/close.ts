/** What a client does when a connection ended. Pure: the table of docs/protocol.md. */

/** Why the SDK stopped for good. */
export type StopReason = 'stopped' | 'unauthenticated' | 'forbidden' | 'protocol_error';

export type ClosePlan =
  | { kind: 'stop'; reason: StopReason }
  | { kind: 'retry'; delay: 'now' | 'hint' | 'backoff'; freshToken: boolean };

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
      return { kind: 'retry', delay: 'now', freshToken: true };
    case CLOSE.tokenExpired:
      return { kind: 'retry', delay: 'now', freshToken: true };
    case CLOSE.idle:
    case CLOSE.tooSlow:
    case CLOSE.reconnect:
      return { kind: 'retry', delay: 'now', freshToken: false };
    case CLOSE.restart:
      return { kind: 'retry', delay: 'hint', freshToken: false };
    default:
      return { kind: 'retry', delay: 'backoff', freshToken: false };
  }
}
