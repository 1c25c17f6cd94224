import type { ChannelView } from '@parley/sdk';
import { useState } from 'preact/hooks';
import { Avatar } from './Avatar.js';
import { Composer } from './Composer.js';
import { Members } from './Members.js';
import { MessageList } from './MessageList.js';
import { channels, connection, current, leave, me } from './model.js';
import { listOpen, partners, presenceOf, titleOf } from './people.js';
import { PartnerLine, PresenceText, RoomButton, Typing } from './Presence.js';
import { Sidebar } from './Sidebar.js';
import { ConnectionDot, StatusBar } from './StatusBar.js';
import { StatusDialog } from './StatusDialog.js';

export function Chat() {
  const channel = current.value;
  const several = channels.value.length > 1;
  const listed = channel !== undefined && listOpen.value;
  return (
    <div class={`page${several ? ' with-side' : ''}${listed ? ' with-members' : ''}`}>
      {several && <Sidebar />}
      <main class="chat" aria-label={channel ? `Channel ${titleOf(channel)}` : 'Chat'}>
        <header class="top">
          {channel ? <Place channel={channel} /> : <div class="place"><h1>Parley</h1></div>}
          {channel && <RoomButton open={listed} toggle={() => (listOpen.value = !listOpen.value)} />}
          <ConnectionDot />
          <Me />
        </header>
        <StatusBar />
        {channel ? <MessageList key={channel.id} channel={channel} /> : <Waiting />}
        {channel && <Typing />}
        {channel && <Composer key={`c-${channel.id}`} channel={channel} />}
      </main>
      {listed && <Members channel={channel} />}
    </div>
  );
}

function Place({ channel }: { channel: ChannelView }) {
  const partner = partners.value.get(channel.id);
  return (
    <div class="place">
      <h1>{titleOf(channel)}</h1>
      {partner ? <PartnerLine userId={partner.userId} /> : channel.info.topic && <p class="muted">{channel.info.topic}</p>}
    </div>
  );
}

function Me() {
  const [asking, setAsking] = useState(false);
  const user = me.value!;
  const presence = presenceOf(user.userId).value;
  return (
    <div class="me">
      <button class="quiet me-button" type="button" aria-haspopup="dialog" title="Change your status" onClick={() => setAsking(true)}>
        <Avatar id={user.userId} name={user.name} small present />
        <span class="me-name">{user.name}{presence?.statusEmoji ? ` ${presence.statusEmoji}` : ''}</span>
        <PresenceText userId={user.userId} />
        <span class="sr-only"> change your status</span>
      </button>
      <button class="quiet" type="button" onClick={leave}>Sign out</button>
      {asking && <StatusDialog close={() => setAsking(false)} />}
    </div>
  );
}

function Waiting() {
  const online = connection.value.status === 'online';
  return (
    <div class="empty">
      <p class="muted">{online ? 'You are not in any channel yet.' : 'One moment…'}</p>
    </div>
  );
}
