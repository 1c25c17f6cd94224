/** How long to wait before the next attempt. Milliseconds. */
export interface BackoffOptions {
  /** First delay. */
  base: number;
  /** No delay is longer. */
  max: number;
  /** Up to this share of the delay is added at random, so that clients do not come back all at once. */
  jitter: number;
}

export const RECONNECT: BackoffOptions = { base: 500, max: 30_000, jitter: 0.5 };
export const REPAIR: BackoffOptions = { base: 1_000, max: 30_000, jitter: 0.3 };
export const RESEND: BackoffOptions = { base: 1_000, max: 20_000, jitter: 0.3 };

/** `min(base · 2^attempt + jitter, max)`; attempt 0 is the first. `random` is in [0, 1). */
export function backoff(attempt: number, options: BackoffOptions, random: number): number {
  const step = options.base * 2 ** Math.min(Math.max(attempt, 0), 30);
  return Math.min(step + step * options.jitter * random, options.max);
}
