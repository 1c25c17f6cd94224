import type { ChannelView } from '@parley/sdk';
import { Avatar } from './Avatar.js';
import { me } from './model.js';
import { listOpen, members, presenceOf, roomNow } from './people.js';
import { noListText, presenceLine, rankOf, roomText, statusLine } from './peopleText.js';
import { PresenceText } from './Presence.js';

/** Members shown; of larger channels, and those open to everyone, there is a count alone. */
const MOST = 200;

export function Members({ channel }: { channel: ChannelView }) {
  const close = () => {
    listOpen.value = false;
    document.querySelector<HTMLElement>('.room')?.focus();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Escape') close();
  };
  const here = roomNow.value;
  return (
    <aside class="members" id="members" aria-label="Members" onKeyDown={keys}>
      <header>
        <h2>Members</h2>
        <button class="quiet" type="button" onClick={close}>Close</button>
      </header>
      {here && <p class="muted">{roomText(here)}{here.counted && here.members > 0 ? ` of ${here.members.toLocaleString('en')} members` : ''}</p>}
      {here?.counted ? <p class="muted">{noListText(channel.info.everyone)}</p> : <List channelId={channel.id} />}
    </aside>
  );
}

function List({ channelId }: { channelId: string }) {
  const list = members.value.get(channelId);
  if (!list) return <p class="muted">Loading…</p>;
  const sorted = [...list].sort(
    (a, b) => rankOf(presenceOf(a.userId).value) - rankOf(presenceOf(b.userId).value) || (a.name || a.userId).localeCompare(b.name || b.userId),
  );
  return (
    <ul>
      {sorted.slice(0, MOST).map((member) => <Row key={member.userId} userId={member.userId} name={member.name || member.userId} />)}
    </ul>
  );
}

function Row({ userId, name }: { userId: string; name: string }) {
  const presence = presenceOf(userId).value;
  const line = statusLine(presence) || (presence?.availability === 'offline' && presence.lastSeenAt > 0 ? presenceLine(presence, Date.now()) : '');
  return (
    <li class="member" data-user={userId}>
      <Avatar id={userId} name={name} small present />
      <span class="member-text">
        <span class="name">{name}{userId === me.value?.userId ? ' (you)' : ''}<PresenceText userId={userId} /></span>
        {line !== '' && <span class="muted">{line}</span>}
      </span>
    </li>
  );
}
