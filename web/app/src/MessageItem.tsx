import type { Message } from '@parley/sdk';
import { memo } from './memo.js';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Attachments } from './Attachments.js';
import { Avatar } from './Avatar.js';
import { EditBox } from './EditBox.js';
import { clockTime, fullTime, linkify, shortTime } from './format.js';
import { discard, editing, remove, retry } from './model.js';
import { PresenceText, StatusEmoji } from './Presence.js';

interface Props {
  message: Message;
  /** Name of the day, when a separator stands above. */
  day: string;
  lead: boolean;
}

/** One message. It is drawn again only when it changed. */
export const MessageItem = memo(({ message, day, lead }: Props) => {
  const [asking, setAsking] = useState(false);
  const isEditing = editing.value === message.key;
  const name = message.senderName || message.senderId;
  const settled = message.own && message.status === 'sent' && !message.deleted && !message.change;
  const tools = settled && !isEditing && !asking;
  return (
    <li class={`message${lead ? ' lead' : ''}`} data-key={message.key} data-status={message.status}>
      {day !== '' && <div class="day"><span>{day}</span></div>}
      <article class="line" aria-label={`${name}, ${clockTime(message.createdAt)}`}>
        <div class="gutter">
          {lead ? <Avatar id={message.senderId} name={name} present /> : <Time at={message.createdAt} short />}
        </div>
        <div class="body">
          {lead && (
            <p class="author">
              <strong>{name}</strong><PresenceText userId={message.senderId} /> <StatusEmoji userId={message.senderId} /> <Time at={message.createdAt} />
            </p>
          )}
          {isEditing ? <EditBox message={message} /> : <Content message={message} />}
          {asking && <Ask message={message} done={() => setAsking(false)} />}
          <Trouble message={message} />
        </div>
        {tools && <Tools message={message} onDelete={() => setAsking(true)} />}
        <State message={message} />
      </article>
    </li>
  );
});

function Time({ at, short = false }: { at: number; short?: boolean }) {
  const text = short ? shortTime(at) : clockTime(at);
  return <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>{text}</time>;
}

/** Text, never markup. */
function Content({ message }: { message: Message }) {
  if (message.deleted) return <p class="text gone">This message was deleted.</p>;
  const { content, attachments } = message;
  if (content === '' && attachments.length > 0) return <Attachments message={message} />;
  return (
    <>
      <p class="text" dir="auto">
        {linkify(content).map((part) =>
          part.href ? <a href={part.href} target="_blank" rel="noopener noreferrer nofollow">{part.text}</a> : part.text,
        )}
        {message.updatedAt > 0 && <span class="edited" title={fullTime(message.updatedAt)}> (edited)</span>}
      </p>
      <Attachments message={message} />
    </>
  );
}

function Tools({ message, onDelete }: { message: Message; onDelete: () => void }) {
  return (
    <div class="tools">
      <button type="button" onClick={() => (editing.value = message.key)}>Edit</button>
      <button type="button" onClick={onDelete}>Delete</button>
    </div>
  );
}

function Ask({ message, done }: { message: Message; done: () => void }) {
  const first = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => first.current?.focus(), []);
  const yes = () => {
    done();
    remove(message);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Escape') done();
  };
  return (
    <div class="ask" role="group" aria-label="Delete this message?" onKeyDown={keys}>
      <span>Delete this message?</span>
      <button type="button" class="danger" onClick={yes} ref={first}>Delete</button>
      <button type="button" onClick={done}>Keep</button>
    </div>
  );
}

/** Where one's own message stands, in the corner. */
function State({ message }: { message: Message }) {
  if (!message.own || message.deleted) return null;
  const busy = message.status === 'sending' || message.change?.status === 'sending';
  if (message.status === 'failed' || message.change?.status === 'failed') return <span class="state" />;
  const [mark, text] = busy ? ['◌', 'Sending'] : ['✓', 'Sent'];
  return (
    <span class={`state ${busy ? 'busy' : 'done'}`} title={text}>
      <span aria-hidden="true">{mark}</span>
      <span class="sr-only">{text}</span>
    </span>
  );
}

/** A mutation that failed: why, and what can be done. */
function Trouble({ message }: { message: Message }) {
  const trouble = message.status === 'failed' ? message.progress : message.change;
  if (trouble?.status !== 'failed') return null;
  const what = message.status === 'failed' ? 'Not sent' : message.change?.kind === 'edit' ? 'Change not saved' : 'Not deleted';
  return (
    <p class="trouble">
      <span>{what}: {reason(trouble.error)}</span>
      <button type="button" onClick={() => retry(trouble.id)}>Try again</button>
      <button type="button" onClick={() => discard(trouble.id)}>{message.status === 'failed' ? 'Remove' : 'Undo'}</button>
    </p>
  );
}

function reason(error: { code: string; message: string } | undefined): string {
  switch (error?.code) {
    case 'not_a_member':
      return 'you are not a member of this channel.';
    case 'archived':
      return 'this channel is archived.';
    case 'too_large':
      return 'it is too long.';
    case 'forbidden':
      return 'you may not do this.';
    default:
      return error?.message || 'the server refused it.';
  }
}
