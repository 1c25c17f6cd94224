import type { ChannelView } from '@parley/sdk';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { dayName } from './format.js';
import { MessageItem } from './MessageItem.js';
import { loadBefore, seen, trim } from './model.js';
import { titleOf } from './people.js';
import { rowsOf } from './rows.js';
import { useScrollAnchor } from './scroll.js';

/** Older messages are fetched when the reader is this near to the first one. Pixels. */
const NEAR_TOP_PX = 600;

export function MessageList({ channel }: { channel: ChannelView }) {
  const { messages } = channel;
  const scroll = useScrollAnchor();
  const rows = useMemo(() => rowsOf(messages), [messages]);
  const fresh = useFresh(channel, scroll.atEnd);
  const now = Date.now();

  const fetchMore = () => {
    const box = scroll.scroller.current;
    if (box && channel.hasBefore && !channel.loadingBefore && box.scrollTop < NEAR_TOP_PX) loadBefore();
  };
  useEffect(() => {
    if (!channel.historyError) fetchMore();
  }, [channel]);
  useEffect(() => {
    if (scroll.atEnd) trim();
  }, [messages.length, scroll.atEnd]);
  const sending = messages.findLast((message) => message.status === 'sending')?.key;
  useEffect(() => {
    if (sending) scroll.toEnd(); // whoever writes wants to see it
  }, [sending]);
  const onScroll = () => {
    scroll.onScroll();
    fetchMore();
  };

  return (
    <div class="list-place">
      <div class="list" ref={scroll.scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label="Messages">
        <Beginning channel={channel} />
        <ol ref={scroll.content} class="messages">
          {rows.map(({ message, newDay, lead }) => (
            <MessageItem
              key={message.key}
              message={message}
              day={newDay ? dayName(message.createdAt, now) : ''}
              lead={lead}
            />
          ))}
        </ol>
      </div>
      {!scroll.atEnd && (
        <button class="jump" type="button" onClick={scroll.toEnd}>
          {fresh > 0 ? `${fresh} new ${fresh === 1 ? 'message' : 'messages'}` : 'Jump to latest'}
          <span aria-hidden="true"> ↓</span>
        </button>
      )}
    </div>
  );
}

/** What stands above the first message: that there is more, that it cannot be had now, or that this is the beginning. */
function Beginning({ channel }: { channel: ChannelView }) {
  const late = useLate(!channel.complete || channel.history === 'loading');
  if (channel.history === 'unavailable' || channel.historyError) {
    return (
      <p class="edge">
        Older messages cannot be loaded right now. New ones still arrive.{' '}
        {channel.hasBefore && <button class="quiet" type="button" onClick={loadBefore}>Try again</button>}
      </p>
    );
  }
  if (channel.history !== 'ready' || channel.loadingBefore) return <p class="edge">{late || channel.loadingBefore ? 'Loading…' : ' '}</p>;
  if (!channel.complete) return <p class="edge">{late ? 'Catching up with what you missed…' : ' '}</p>;
  if (channel.hasBefore) return <p class="edge"> </p>;
  const name = titleOf(channel);
  return (
    <div class="edge first">
      <h2>This is where {name} begins</h2>
      {channel.messages.length === 0 && <p>Nobody has written anything yet. Say hello!</p>}
    </div>
  );
}

/** How many messages of others came while the reader was further up. */
function useFresh(channel: ChannelView, atEnd: boolean): number {
  const last = useRef(0);
  const { messages } = channel;
  if (atEnd) last.current = messages.findLast((message) => message.seq > 0)?.seq ?? 0;
  useEffect(() => {
    const look = () => {
      if (atEnd && !document.hidden) seen(channel.id);
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [atEnd, messages, channel.id]);
  if (atEnd) return 0;
  return messages.filter((message) => message.seq > last.current && !message.own).length;
}

/** True once `busy` has lasted for a moment. */
function useLate(busy: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!busy) {
      setLate(false);
      return undefined;
    }
    const timer = setTimeout(() => setLate(true), 700);
    return () => clearTimeout(timer);
  }, [busy]);
  return late;
}
