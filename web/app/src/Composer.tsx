import type { ChannelView } from '@parley/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { editing, send } from './model.js';
import { stoppedWriting, titleOf, writing } from './people.js';

const draftKey = (channelId: string): string => `parley.draft.${channelId}`;

export function Composer({ channel }: { channel: ChannelView }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(() => sessionStorage.getItem(draftKey(channel.id)) ?? '');
  const [problem, setProblem] = useState('');
  const name = titleOf(channel);
  useEffect(() => {
    if (matchMedia('(hover: hover)').matches) box.current?.focus(); // on a phone the keyboard would cover the page
    return () => stoppedWriting(channel.id);
  }, []);

  const write = (value: string) => {
    setText(value);
    setProblem('');
    if (value === '') sessionStorage.removeItem(draftKey(channel.id));
    else sessionStorage.setItem(draftKey(channel.id), value);
  };
  const submit = (event?: Event) => {
    event?.preventDefault();
    const content = text.trim();
    if (content === '') return;
    const wrong = send(content);
    if (wrong) setProblem(wrong);
    else write('');
    box.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'ArrowUp' && text === '') return editLast(event, channel);
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    submit(event);
  };

  if (channel.info.archived) return <p class="composer closed">This channel is archived: nobody can write here.</p>;
  return (
    <form class="composer" onSubmit={submit}>
      <label class="sr-only" for="compose">Message to {name}</label>
      <textarea
        id="compose"
        ref={box}
        rows={1}
        dir="auto"
        value={text}
        placeholder={`Message ${name}`}
        aria-describedby="compose-help"
        onInput={(event) => {
          write(event.currentTarget.value);
          writing(channel.id, event.currentTarget.value);
        }}
        onBlur={() => stoppedWriting(channel.id)}
        onKeyDown={keys}
      />
      <button class="primary" type="submit" aria-disabled={text.trim() === ''}>Send</button>
      <p id="compose-help" class="help">
        {problem ? <span class="problem" role="alert">{problem}</span> : 'Enter sends, Shift+Enter makes a new line, ↑ edits your last message.'}
      </p>
    </form>
  );
}

function editLast(event: KeyboardEvent, channel: ChannelView): void {
  const last = channel.messages.findLast((each) => each.own && each.status === 'sent' && !each.deleted && !each.change);
  if (!last) return;
  event.preventDefault();
  editing.value = last.key;
}
