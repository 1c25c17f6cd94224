import type { Message } from '@parley/sdk';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { edit, editing } from './model.js';

export function EditBox({ message }: { message: Message }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [problem, setProblem] = useState('');
  useLayoutEffect(() => { // before the next key is pressed
    const area = box.current!;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }, []);
  const close = () => {
    editing.value = '';
    document.getElementById('compose')?.focus();
  };
  const save = () => {
    const content = box.current!.value;
    if (content.trim() === '') return setProblem('Write something, or delete the message.');
    const wrong = content === message.content ? undefined : edit(message, content);
    if (wrong) setProblem(wrong);
    else close();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Escape') close();
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    save();
  };
  return (
    <div class="edit">
      <textarea ref={box} rows={1} defaultValue={message.content} onKeyDown={keys} aria-label="Edit message" dir="auto" />
      <div class="edit-row">
        <button type="button" class="primary" onClick={save}>Save</button>
        <button type="button" onClick={close}>Cancel</button>
        <span class="problem" role="alert">{problem}</span>
      </div>
    </div>
  );
}
