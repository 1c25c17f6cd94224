import type { ChannelView } from '@parley/sdk';
import type { RefObject, TargetedEvent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { editing, send } from './model.js';
import { stoppedWriting, titleOf, writing } from './people.js';
import { addFiles, draftsOf, sent, take } from './uploads.js';
import { Uploads } from './Uploads.js';

const draftKey = (channelId: string): string => `parley.draft.${channelId}`;

export function Composer({ channel }: { channel: ChannelView }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(() => sessionStorage.getItem(draftKey(channel.id)) ?? '');
  const [problem, setProblem] = useState('');
  const picker = useRef<HTMLInputElement>(null);
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
  const add = (files: Iterable<File>) => {
    setProblem(addFiles(channel.id, files) ?? '');
    box.current?.focus();
  };
  const hovering = useDrop(add);
  const files = draftsOf(channel.id).length;
  const submit = (event?: Event) => {
    event?.preventDefault();
    const content = text.trim();
    const attachments = take(channel.id);
    if (typeof attachments === 'string') return setProblem(attachments);
    if (content === '' && attachments.length === 0) return;
    const wrong = send(content, attachments);
    if (wrong) {
      setProblem(wrong);
    } else {
      sent(channel.id);
      write('');
    }
    box.current?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'ArrowUp' && text === '') return editLast(event, channel);
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    submit(event);
  };
  const paste = (event: ClipboardEvent) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length === 0) return;
    event.preventDefault();
    add(pasted);
  };

  if (channel.info.archived) return <p class="composer closed">This channel is archived: nobody can write here.</p>;
  return (
    <form class="composer" onSubmit={submit}>
      {hovering && <p class="drop">Let go to add the files to your message to {name}</p>}
      <Uploads channelId={channel.id} choose={() => picker.current?.click()} />
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
        onPaste={paste}
      />
      <Picker input={picker} add={add} />
      <button class="primary" type="submit" aria-disabled={text.trim() === '' && files === 0}>Send</button>
      <p id="compose-help" class="help">
        {problem ? <span class="problem" role="alert">{problem}</span> : 'Enter sends, Shift+Enter makes a new line, ↑ edits your last message.'}
      </p>
    </form>
  );
}

/** The button for files. The input itself is out of the way of keyboard and screen reader: the button stands for it. */
function Picker({ input, add }: { input: RefObject<HTMLInputElement | null>; add: (files: Iterable<File>) => void }) {
  const chosen = (event: TargetedEvent<HTMLInputElement>) => {
    add([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = ''; // the same file may be chosen again
  };
  return (
    <>
      <input ref={input} type="file" multiple hidden onChange={chosen} />
      <button class="attach" type="button" aria-label="Add files" title="Add files" onClick={() => input.current?.click()}>
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
          <path d="M12 5v14M5 12h14" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
        </svg>
      </button>
    </>
  );
}

/** Files may be dropped anywhere on the page. True while some hover above it. */
function useDrop(add: (files: Iterable<File>) => void): boolean {
  const [hovering, setHovering] = useState(false);
  const latest = useRef(add);
  latest.current = add;
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setHovering(true);
    };
    const left = (event: DragEvent) => {
      if (event.relatedTarget === null) setHovering(false); // the window, not only one element of it
    };
    const dropped = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setHovering(false);
      latest.current([...event.dataTransfer!.files]);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', left);
    addEventListener('drop', dropped);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', left);
      removeEventListener('drop', dropped);
    };
  }, []);
  return hovering;
}

function editLast(event: KeyboardEvent, channel: ChannelView): void {
  const last = channel.messages.findLast((each) => each.own && each.status === 'sent' && !each.deleted && !each.change);
  if (!last) return;
  event.preventDefault();
  editing.value = last.key;
}
