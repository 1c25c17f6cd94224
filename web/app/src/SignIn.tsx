import { useEffect, useRef, useState } from 'preact/hooks';
import { enterAs } from './model.js';

export function SignIn() {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    const name = input.current?.value.trim() ?? '';
    if (busy) return;
    if (name === '') return setProblem('Write a name first.');
    setBusy(true);
    setProblem('');
    try {
      await enterAs(name);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'That did not work.');
      setBusy(false);
      input.current?.focus();
    }
  };

  return (
    <main class="door">
      <form class="card" onSubmit={submit} noValidate>
        <img src="/favicon.svg" alt="" width="48" height="48" />
        <h1>Welcome to Parley</h1>
        <p class="muted">Pick a name that the others will see.</p>
        <label for="name">Your name</label>
        <input
          id="name"
          ref={input}
          name="name"
          maxLength={64}
          autocomplete="nickname"
          spellcheck={false}
          aria-invalid={problem !== ''}
          aria-describedby="problem"
        />
        <p id="problem" class="problem" role="alert">{problem}</p>
        <button class="primary" type="submit" aria-disabled={busy}>{busy ? 'Signing in…' : 'Start chatting'}</button>
      </form>
    </main>
  );
}
