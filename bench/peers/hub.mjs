// Sockets and rooms: what both strategies share. A message goes through `store`, which says what became of it and when; then every
// socket of the room gets it. The frames are those of Parley's protocol, so that equal bytes travel.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const rooms = new Map(); // channel → { sockets, last }

function roomOf(channelId) {
  let room = rooms.get(channelId);
  if (!room) rooms.set(channelId, (room = { sockets: new Set(), last: 0 }));
  return room;
}

export function broadcast({ channelId, id, senderId, senderName, content, createdAt, seq }) {
  const room = roomOf(channelId);
  const at = seq ?? room.last + 1;
  const text = JSON.stringify({
    type: "event", channelId, seq: at, prev: room.last, id, actorId: senderId, createdAt,
    message: {
      id, channelId, senderId, senderName, content, type: "text", threadId: "", replyTo: "", mentions: [], createdAt, seq: at, deleted: false,
    },
  });
  room.last = at;
  for (const socket of room.sockets) socket.send(text);
}

async function onSend(socket, frame, store) {
  const { id, content } = frame.message;
  try {
    const stored = await store({ channelId: frame.channelId, id, senderId: socket.user, senderName: socket.user, content });
    socket.send(JSON.stringify({ type: "ack", ref: frame.ref, id, ...stored }));
  } catch (error) {
    socket.send(JSON.stringify({ type: "error", ref: frame.ref, code: "unavailable", message: error.message }));
  }
}

function onJoin(socket, frame) {
  roomOf(frame.channelId).sockets.add(socket);
  socket.rooms.add(frame.channelId);
  socket.send(JSON.stringify({ type: "ready", channelId: frame.channelId }));
}

function onMessage(socket, data, store) {
  const frame = JSON.parse(data);
  if (frame.type === "send") onSend(socket, frame, store);
  else if (frame.type === "join") onJoin(socket, frame);
  else socket.send(JSON.stringify({ type: "error", ref: frame.ref, code: "bad_request", message: `no such frame: ${frame.type}` }));
}

export function listen(port, store) {
  const http = createServer((request, response) => response.writeHead(request.url === "/healthz" ? 200 : 404).end());
  const server = new WebSocketServer({ server: http, path: "/ws" });
  server.on("connection", (socket, request) => {
    socket.user = new URL(request.url, "http://localhost").searchParams.get("user") ?? "anonymous";
    socket.rooms = new Set();
    socket.on("message", (data) => {
      try {
        onMessage(socket, data, store);
      } catch (error) {
        socket.close(1007, error.message.slice(0, 100));
      }
    });
    socket.on("close", () => socket.rooms.forEach((channelId) => roomOf(channelId).sockets.delete(socket)));
    socket.on("error", () => socket.terminate());
    socket.send(JSON.stringify({ type: "ready" }));
  });
  http.listen({ port, host: "127.0.0.1", backlog: 1024 });
}
