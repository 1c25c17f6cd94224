import type { ChannelView } from '@parley/sdk';
import { channels, currentId, select, unread } from './model.js';
import { partners, titleOf } from './people.js';
import { Dot, PresenceText } from './Presence.js';

export function Sidebar() {
  return (
    <nav class="side" aria-label="Channels">
      <p class="side-title">Channels</p>
      <ul>
        {channels.value.map((channel) => (
          <li key={channel.id}>
            <ChannelLink channel={channel} />
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ChannelLink({ channel }: { channel: ChannelView }) {
  const count = unread.value.get(channel.id) ?? 0;
  const partner = partners.value.get(channel.id);
  const here = channel.id === currentId.value;
  const open = (event: Event) => {
    event.preventDefault();
    select(channel.id);
  };
  return (
    <a href={`#${channel.id}`} onClick={open} aria-current={here ? 'page' : undefined} class={count > 0 ? 'unread' : ''}>
      <span class="mark" aria-hidden="true">
        {partner ? <Dot userId={partner.userId} /> : channel.info.kind === 'open' ? '#' : channel.info.kind === 'direct' ? '@' : '·'}
      </span>
      <span class="name">{titleOf(channel)}{partner && <PresenceText userId={partner.userId} />}</span>
      {count > 0 && (
        <span class="badge">
          {count > 99 ? '99+' : count}
          <span class="sr-only"> unread</span>
        </span>
      )}
    </a>
  );
}
