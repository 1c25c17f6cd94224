import { Composer } from './Composer.js';
import { MessageList } from './MessageList.js';
import { channels, connection, current, leave, me } from './model.js';
import { Avatar } from './Avatar.js';
import { Sidebar } from './Sidebar.js';
import { ConnectionDot, StatusBar } from './StatusBar.js';

export function Chat() {
  const channel = current.value;
  const several = channels.value.length > 1;
  return (
    <div class={several ? 'page with-side' : 'page'}>
      {several && <Sidebar />}
      <main class="chat" aria-label={channel ? `Channel ${channel.info.name || channel.id}` : 'Chat'}>
        <header class="top">
          <div class="place">
            <h1>{channel ? channel.info.name || channel.id : 'Parley'}</h1>
            {channel?.info.topic && <p class="muted">{channel.info.topic}</p>}
          </div>
          <ConnectionDot />
          <Me />
        </header>
        <StatusBar />
        {channel ? <MessageList key={channel.id} channel={channel} /> : <Waiting />}
        {channel && <Composer key={`c-${channel.id}`} channel={channel} />}
      </main>
    </div>
  );
}

function Me() {
  const user = me.value!;
  return (
    <div class="me">
      <Avatar id={user.userId} name={user.name} small />
      <span class="me-name">{user.name}</span>
      <button class="quiet" type="button" onClick={leave}>Sign out</button>
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
