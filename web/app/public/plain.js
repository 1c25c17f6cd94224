const log = (text) => document.getElementById('log').append(Object.assign(document.createElement('li'), { textContent: text }));
const name = new URLSearchParams(location.search).get('name') ?? 'Plain';
const body = JSON.stringify({ name });
const session = await fetch('/api/demo/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
const { token } = await session.json();

// --- the ten lines ---
const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws?token=${encodeURIComponent(token)}`);
socket.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type === 'event' && frame.message) log(`${frame.message.senderName}: ${frame.message.content}`);
  if (frame.type === 'error') log(`${frame.code}: ${frame.message}`);
};
const send = (content) =>
  socket.send(JSON.stringify({ type: 'send', ref: 1, channelId: 'general', message: { id: crypto.randomUUID(), content } }));
setInterval(() => socket.send('{"type":"ping"}'), 25_000);
// ---------------------

socket.onclose = ({ code, reason }) => log(`closed: ${code} ${reason}`);
document.getElementById('form').onsubmit = (event) => {
  event.preventDefault();
  send(document.getElementById('text').value);
  event.target.reset();
};
