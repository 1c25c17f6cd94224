import type { TokenProvider } from '@parley/sdk';

/** Who is signed in on this tab. */
export interface SignedIn {
  token: string;
  userId: string;
  name: string;
  /** RFC 3339. */
  expiresAt: string;
}

const KEY = 'parley.session';

/** The session of this tab, if there is one. */
export function restore(): SignedIn | undefined {
  try {
    const value = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as SignedIn | null;
    return value && typeof value.token === 'string' && typeof value.name === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Signs in by name. Rejects with an Error whose message may be shown. */
export async function signIn(name: string): Promise<SignedIn> {
  const response = await post(name).catch(() => {
    throw new Error('The server cannot be reached. Check your connection and try again.');
  });
  if (!response.ok) throw new Error(await explain(response));
  return keep((await response.json()) as SignedIn);
}

function keep(signedIn: SignedIn): SignedIn {
  sessionStorage.setItem(KEY, JSON.stringify(signedIn));
  return signedIn;
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}

/**
 * The tokens of this session: the demo's sign-in gives the same person another one for one that is still good. When it has ended, or
 * is refused, so has the session. A product's provider asks its backend for a fresh one instead.
 */
export function tokenProvider(signedIn: SignedIn): TokenProvider {
  let { token, expiresAt } = signedIn;
  return async (why) => {
    const over = Date.parse(expiresAt) <= Date.now();
    if (over || why === 'refused') throw Object.assign(new Error('Your session has ended.'), { fatal: true });
    if (why === 'connect') return token;
    const response = await post(signedIn.name, token);
    if (!response.ok) throw new Error(await explain(response)); // tried again by the SDK
    ({ token, expiresAt } = keep((await response.json()) as SignedIn));
    return token;
  };
}

function post(name: string, token?: string): Promise<Response> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', Accept: 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  return fetch('/api/demo/session', { method: 'POST', headers, body: JSON.stringify({ name }) });
}

async function explain(response: Response): Promise<string> {
  if (response.status === 404) return 'Signing in by name is switched off on this server.';
  if (response.status === 429) return 'Too many people are signing in just now. Try again in a moment.';
  if (response.status >= 500) return 'The server is not ready. Try again in a moment.';
  const problem = (await response.json().catch(() => ({}))) as { detail?: string };
  return problem.detail || 'That name was not accepted.';
}
