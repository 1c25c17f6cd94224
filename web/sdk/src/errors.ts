/** The codes of the protocol's errors, and of those that the SDK itself raises (from `aborted` on). */
export type ErrorCode =
  | 'bad_request'
  | 'bad_frame'
  | 'unknown_type'
  | 'too_large'
  | 'unauthenticated'
  | 'token_expired'
  | 'forbidden'
  | 'not_a_member'
  | 'not_found'
  | 'method_not_allowed'
  | 'archived'
  | 'id_conflict'
  | 'rate_limited'
  | 'unavailable'
  | 'conflict'
  | 'internal'
  | 'aborted'
  | 'timeout'
  | 'connection_lost'
  | 'protocol_error';

/** An error with a code that a program can decide on, and a text for people. */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  /** One of the protocol's codes, or of the SDK's own. A newer server may send one that is not listed. */
  readonly code: ErrorCode;
  /** Milliseconds after which the same request may be tried again; 0: not as it is. */
  readonly retryMs: number;
  /** HTTP status, where the error came from a REST request; else 0. */
  readonly status: number;

  constructor(code: ErrorCode, message: string, retryMs = 0, status = 0) {
    super(message);
    this.code = code;
    this.retryMs = retryMs;
    this.status = status;
  }
}

/** True for errors that say "later", not "no". */
export function isTemporary(error: ParleyError): boolean {
  return error.code === 'unavailable' || error.code === 'rate_limited' || error.code === 'timeout'
    || error.code === 'connection_lost' || error.status >= 500;
}

/** Makes a ParleyError of whatever was thrown. */
export function asError(thrown: unknown, code: ErrorCode = 'unavailable'): ParleyError {
  if (thrown instanceof ParleyError) return thrown;
  return new ParleyError(code, thrown instanceof Error ? thrown.message : String(thrown));
}
