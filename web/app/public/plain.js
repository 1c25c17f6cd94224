const show = (name, text) =>
  document.getElementById('log').append(Object.assign(document.createElement('li'), { textContent: `${name}: ${text}` }));
const sent = (id, seq) => (document.getElementById('sent').textContent = `Stored as number ${seq}.`);

// Any token will do; this one comes from the demo's sign-in, under ?name=.
const name = new URLSearchParams(location.search).get('name') ?? 'Plain';
const headers = { 'Content-Type': 'application/json' };
const session = await fetch('/api/demo/session', { method: 'POST', headers, body: JSON.stringify({ name }) });
const { token } = await session.json();

// --- the ten lines ---
const ws = new WebSocket(`${location.origin.replace('http', 'ws')}/ws?token=${token}`);
ws.onmessage = ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type === 'event' && frame.message) show(frame.message.senderName, frame.message.content);
  if (frame.type === 'ack') sent(frame.id, frame.seq);
};
const send = (content) => ws.send(JSON.stringify({
  type: 'send', ref: 1, channelId: 'general', message: { id: crypto.randomUUID(), content },
}));
// ---------------------

setInterval(() => ws.send('{"type":"ping"}'), 25_000);
ws.onclose = ({ code, reason }) => show('closed', `${code} ${reason}`);
document.getElementById('form').onsubmit = (event) => {
  event.preventDefault();
  send(document.getElementById('text').value);
  event.target.reset();
};
