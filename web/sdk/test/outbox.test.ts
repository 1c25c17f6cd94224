import { describe, expect, it } from 'vitest';
import type { Message } from '../src/channel.js';
import { ParleyError } from '../src/errors.js';
import { MAX_ITEMS } from '../src/outbox.js';
import { FakeWorld, frameOf, MemoryStorage, messageEvent, readyOf, settle, type FakeSocket } from './fakes.js';
import { greet, harness, online } from './harness.js';

const shown = (messages: readonly Message[] | undefined) => messages?.map(({ content, status }) => `${content}:${status}`);

const ackOf = (socket: FakeSocket, seq: number, type: 'send' | 'edit' | 'delete' = 'send') => ({
  type: 'ack',
  ref: socket.last(type).ref,
  id: '',
  channelId: 'general',
  seq,
  createdAt: '2026-01-01T00:00:00Z',
  duplicate: false,
});

const errorOf = (socket: FakeSocket, code: string, retryMs = 0, type: 'send' | 'edit' = 'send') => ({
  type: 'error',
  ref: socket.last(type).ref,
  code,
  message: 'no',
  retryMs,
});

describe('sending', () => {
  it('shows the message at once, and as sent after the ack', async () => {
    const { client, socket } = await online();
    const id = client.send('general', 'hi', { mentions: ['ada'], replyTo: 'r', threadId: 't' });
    expect(shown(client.channel('general')?.messages)).toEqual(['hi:sending']);
    expect(socket.last('send')).toMatchObject({
      channelId: 'general',
      message: { id, content: 'hi', type: 'text', mentions: ['ada'], replyTo: 'r', threadId: 't' },
      retry: false,
      retryAgeMs: 0,
    });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    socket.push(ackOf(socket, 11));
    await settle();
    expect(shown(client.channel('general')?.messages)).toEqual(['hi:sent']);
    expect(client.channel('general')?.messages[0]).toMatchObject({ seq: 11, own: true, senderId: 'me' });
  });

  it.each(['event first', 'ack first'])('shows it once, whichever comes first: %s', async (order) => {
    const { client, socket } = await online();
    const id = client.send('general', 'hi');
    const keys = [client.channel('general')!.messages[0]!.key];
    const event = frameOf(messageEvent(11, 10, 'hi', 'me', id));
    const frames = [event, ackOf(socket, 11)];
    for (const frame of order === 'event first' ? frames : frames.reverse()) {
      socket.push(frame);
      await settle();
      expect(shown(client.channel('general')?.messages)).toEqual(['hi:sent']);
      keys.push(client.channel('general')!.messages[0]!.key);
    }
    expect(new Set(keys).size).toBe(1);
  });

  it('keeps the order of a channel: one is under way at a time', async () => {
    const { client, socket } = await online();
    client.send('general', 'one');
    client.send('general', 'two');
    expect(socket.of('send').map((frame) => frame.message.content)).toEqual(['one']);
    socket.push(ackOf(socket, 11));
    await settle();
    expect(socket.of('send').map((frame) => frame.message.content)).toEqual(['one', 'two']);
  });

  it('does not let one channel wait for another', async () => {
    const { world, client } = harness();
    client.connect();
    const socket = await greet(world, readyOf([{ id: 'general', headSeq: 1 }, { id: 'other', headSeq: 1 }]));
    client.send('general', 'one');
    client.send('other', 'two');
    expect(socket.of('send')).toHaveLength(2);
  });

  it('refuses what cannot be sent', async () => {
    const { client } = await online();
    const codeOf = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return (error as ParleyError).code;
      }
      return '';
    };
    expect(codeOf(() => client.send('general', '  \n'))).toBe('bad_request');
    expect(codeOf(() => client.send('general', 'ü'.repeat(8193)))).toBe('too_large');
    expect(codeOf(() => client.send('general', 'ü'.repeat(8192)))).toBe('');
    expect(codeOf(() => client.send('nowhere', 'hi'))).toBe('not_a_member');
    expect(codeOf(() => client.edit('general', 99, 'hi'))).toBe('not_found');
    expect(codeOf(() => client.delete('general', 99))).toBe('not_found');
    for (let i = 1; i < MAX_ITEMS; i++) client.send('general', 'hi');
    expect(codeOf(() => client.send('general', 'hi'))).toBe('unavailable');
  });
});

describe('errors', () => {
  it.each([['unavailable', 2000], ['rate_limited', 2000]])('%s: the same id again after the time it named', async (code, retryMs) => {
    const { world, client, socket } = await online();
    const id = client.send('general', 'one');
    client.send('general', 'two');
    socket.push(errorOf(socket, code, retryMs));
    await world.clock.advance(1999);
    expect(socket.of('send')).toHaveLength(1);
    await world.clock.advance(1);
    expect(socket.of('send')).toHaveLength(2);
    expect(socket.last('send')).toMatchObject({ message: { id, content: 'one' }, retry: true, retryAgeMs: 2000 });
    expect(shown(client.channel('general')?.messages)).toEqual(['one:sending', 'two:sending']);
  });

  it('backs off when the server names no time', async () => {
    const { world, client, socket } = await online();
    client.send('general', 'one');
    for (const delay of [1000, 2000, 4000]) {
      const before = socket.of('send').length;
      socket.push(errorOf(socket, 'unavailable'));
      await world.clock.advance(delay - 1);
      expect(socket.of('send')).toHaveLength(before);
      await world.clock.advance(1);
      expect(socket.of('send')).toHaveLength(before + 1);
    }
  });

  it.each(['not_a_member', 'id_conflict', 'too_large', 'archived', 'conflict'])('%s: failed, the next one goes on', async (code) => {
    const { client, socket } = await online();
    const id = client.send('general', 'one');
    client.send('general', 'two');
    socket.push(errorOf(socket, code));
    await settle();
    expect(client.channel('general')?.messages[0]).toMatchObject({
      status: 'failed',
      progress: { id, status: 'failed', error: { code, message: 'no' } },
    });
    expect(socket.last('send').message.content).toBe('two');
  });

  it('internal: a few times under the same id, then failed', async () => {
    const { world, client, socket } = await online();
    const id = client.send('general', 'one');
    for (let i = 0; i < 4; i++) {
      expect(shown(client.channel('general')?.messages)).toEqual(['one:sending']);
      socket.push(errorOf(socket, 'internal'));
      await world.clock.advance(4_000);
    }
    expect(socket.of('send').map((frame) => [frame.message.id, frame.retry])).toEqual([[id, false], [id, true], [id, true], [id, true]]);
    expect(shown(client.channel('general')?.messages)).toEqual(['one:failed']);
  });

  it('a failed one is tried again under the same id, or discarded', async () => {
    const { client, socket } = await online();
    const id = client.send('general', 'one');
    expect(client.discard(id)).toBe(false);
    socket.push(errorOf(socket, 'not_a_member'));
    await settle();
    client.retry(id);
    expect(socket.of('send').map((frame) => [frame.message.id, frame.retry])).toEqual([[id, false], [id, true]]);
    expect(shown(client.channel('general')?.messages)).toEqual(['one:sending']);
    socket.push(errorOf(socket, 'not_a_member'));
    await settle();
    expect(client.discard(id)).toBe(true);
    expect(client.channel('general')?.messages).toEqual([]);
  });

  it('a refused token is renewed, and the message sent again', async () => {
    const { world, client, socket, asked } = await online();
    const id = client.send('general', 'one');
    socket.push(errorOf(socket, 'token_expired'));
    await settle();
    expect(asked).toEqual(['connect', 'renew']);
    expect(socket.last('auth').token).toBe('t2');
    await world.clock.advance(1000);
    expect(socket.last('send')).toMatchObject({ message: { id }, retry: true });
  });

  it('no answer at all: sent again', async () => {
    const { world, client, socket } = await online();
    const id = client.send('general', 'one');
    await world.clock.advance(11_000);
    expect(socket.of('send').map((frame) => [frame.message.id, frame.retry, frame.retryAgeMs])).toEqual([
      [id, false, 0],
      [id, true, 11_000],
    ]);
  });
});

describe('a lost connection', () => {
  it('sends what was not acknowledged again, in order, under the same ids, marked with its age', async () => {
    const { world, client, socket } = await online();
    const ids = [client.send('general', 'one'), client.send('general', 'two')];
    socket.shut(1006);
    ids.push(client.send('general', 'three'));
    expect(shown(client.channel('general')?.messages)).toEqual(['one:sending', 'two:sending', 'three:sending']);
    await world.clock.advance(500);
    const next = await greet(world);
    expect(next.last('send')).toMatchObject({ message: { id: ids[0] }, retry: true, retryAgeMs: 500 });
    for (let i = 0; i < 3; i++) {
      next.push(ackOf(next, 11 + i));
      await settle();
    }
    expect(next.of('send').map((frame) => [frame.message.id, frame.retry])).toEqual([[ids[0], true], [ids[1], false], [ids[2], false]]);
    expect(shown(client.channel('general')?.messages)).toEqual(['one:sent', 'two:sent', 'three:sent']);
  });

  it('discards what was never sent', async () => {
    const { client, socket } = await online();
    socket.shut(1006);
    const id = client.send('general', 'one');
    expect(client.discard(id)).toBe(true);
  });
});

describe('storage', () => {
  it('brings unsent messages over a reload, under the same id', async () => {
    const storage = new MemoryStorage();
    const before = await online({ storage });
    const id = before.client.send('general', 'one');
    const failed = before.client.send('general', 'two');
    before.socket.push(errorOf(before.socket, 'unavailable', 9000));
    before.client.close();

    const after = await online({ storage });
    expect(after.socket.last('send')).toMatchObject({ message: { id, content: 'one' }, retry: true, retryAgeMs: 0 });
    expect(shown(after.client.channel('general')?.messages)).toEqual(['one:sending', 'two:sending']);
    after.socket.push(ackOf(after.socket, 11));
    await settle();
    expect(after.socket.last('send')).toMatchObject({ message: { id: failed }, retry: false });
    after.socket.push(ackOf(after.socket, 12));
    await settle();
    expect(storage.items.size).toBe(0);
  });

  it('keeps failed ones as failed', async () => {
    const storage = new MemoryStorage();
    const before = await online({ storage });
    before.client.send('general', 'one');
    before.socket.push(errorOf(before.socket, 'archived'));
    await settle();
    const after = await online({ storage });
    expect(shown(after.client.channel('general')?.messages)).toEqual(['one:failed']);
    expect(after.socket.of('send')).toHaveLength(0);
  });

  it('is not read for another user, and does not break on rubbish', async () => {
    const storage = new MemoryStorage();
    storage.setItem('parley.outbox.other', JSON.stringify([{ id: 'x' }]));
    storage.setItem('parley.outbox.me', '[{"id":1},null,7');
    const { client } = await online({ storage });
    expect(client.channel('general')?.messages).toEqual([]);
    storage.setItem('parley.outbox.me', '[{"id":1},null,7]');
    expect((await online({ storage })).client.channel('general')?.messages).toEqual([]);
  });

  it('that is full does not stop a message', async () => {
    const storage = new MemoryStorage();
    storage.setItem = () => {
      throw new Error('quota');
    };
    const { client, socket } = await online({ storage });
    client.send('general', 'one');
    expect(socket.of('send')).toHaveLength(1);
  });
});

describe('edits and deletions', () => {
  async function withMessage() {
    const world = new FakeWorld();
    const made = harness({}, world);
    made.client.connect();
    const socket = await greet(world);
    socket.push(frameOf(messageEvent(11, 10, 'old', 'me')));
    await settle();
    const view = () => made.client.channel('general')!.messages[0]!;
    return { ...made, socket, view };
  }

  it('show the new text at once and are settled by the ack', async () => {
    const { client, socket, view } = await withMessage();
    const id = client.edit('general', 11, 'new');
    expect(view()).toMatchObject({ content: 'new', change: { kind: 'edit', status: 'sending', id } });
    expect(socket.last('edit')).toMatchObject({ channelId: 'general', id, targetSeq: 11, content: 'new', retry: false });
    socket.push(ackOf(socket, 12, 'edit'));
    await settle();
    expect(view()).toMatchObject({ content: 'new', status: 'sent', updatedAt: Date.parse('2026-01-01T00:00:00Z') });
    expect(view().change).toBeUndefined();
  });

  it('that fail say so, and are undone by discard', async () => {
    const { client, socket, view } = await withMessage();
    const id = client.edit('general', 11, 'new');
    socket.push(errorOf(socket, 'forbidden', 0, 'edit'));
    await settle();
    expect(view().change).toMatchObject({ kind: 'edit', status: 'failed', error: { code: 'forbidden' } });
    client.discard(id);
    expect(view()).toMatchObject({ content: 'old' });
    expect(view().change).toBeUndefined();
  });

  it('delete leaves a tombstone after the ack', async () => {
    const { client, socket, view } = await withMessage();
    client.delete('general', 11);
    expect(view().change).toMatchObject({ kind: 'delete', status: 'sending' });
    socket.push(ackOf(socket, 12, 'delete'));
    await settle();
    expect(view()).toMatchObject({ deleted: true, content: '' });
  });

  it('are sent again after a lost connection, under the same id', async () => {
    const { world, client, socket } = await withMessage();
    const id = client.edit('general', 11, 'new');
    socket.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, readyOf([{ id: 'general', headSeq: 11 }]));
    expect(next.last('edit')).toMatchObject({ id, retry: true, retryAgeMs: 500 });
  });
});

describe('a message whose files were uploaded long ago', () => {
  const attachment = (id: string) => ({ id, name: 'cat.png', size: 3, contentType: 'image/png', sha256: 'x', width: 0, height: 0 });
  const descriptor = (id: string, token = `a1.${id}`) => ({ attachment: attachment(id), descriptor: token, channelId: 'general' });
  const expired = (socket: FakeSocket, n = 0) => ({ ...errorOf(socket, 'bad_request'), message: `message.attachments[${n}] has expired: ask the upload service for another one` });

  /** Two files, whose descriptors the server takes for too old */
  async function refused(answer: (path: string) => { status?: number; body?: unknown } | Promise<{ status?: number; body?: unknown }>) {
    const made = await online();
    made.world.route = ({ path }) => answer(path);
    const id = made.client.send('general', '', { attachments: [descriptor('f1'), descriptor('f2')] });
    await settle();
    made.socket.push(expired(made.socket, 1));
    await settle();
    return { ...made, id, status: () => made.client.channel('general')!.messages.at(-1)!.status };
  }
  const fresh = (path: string) => ({ body: descriptor(path.split('/')[3]!, `a1.new-${path.split('/')[3]}`) });

  it('gets other descriptors, and goes on under its id', async () => {
    const { world, socket, id, status } = await refused(fresh);
    expect(world.called('/descriptors').map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/api/files/f1/descriptors', { channelId: 'general' }],
      ['POST', '/api/files/f2/descriptors', { channelId: 'general' }],
    ]);
    expect(socket.of('send')).toHaveLength(2);
    expect(socket.last('send')).toMatchObject({ retry: true, message: { id, attachments: ['a1.new-f1', 'a1.new-f2'] } });
    socket.push(ackOf(socket, 11));
    await settle();
    expect(status()).toBe('sent');
  });

  it('keeps them over a restart', async () => {
    const storage = new MemoryStorage();
    const { client, world, socket } = await online({ storage });
    world.route = ({ path }) => fresh(path);
    client.send('general', '', { attachments: [descriptor('f1')] });
    await settle();
    socket.push(expired(socket));
    await settle();
    const next = await online({ storage });
    expect(next.socket.last('send').message.attachments).toEqual(['a1.new-f1']);
  });

  it('fails when its file is gone, and does not ask for ever', async () => {
    const gone = await refused(() => ({ status: 404, body: { code: 'not_found', detail: 'there is no such file' } }));
    expect([gone.status(), gone.client.channel('general')!.messages.at(-1)!.progress?.error?.code]).toEqual(['failed', 'not_found']);
    const { world, socket, client, id, status } = await refused(fresh);
    for (let i = 0; i < 5 && status() === 'sending'; i++) {
      socket.push(expired(socket));
      await settle();
    }
    expect([status(), world.called('/f1/').length, socket.of('send').length]).toEqual(['failed', 3, 4]);
    client.retry(id); // somebody wants it
    await settle();
    socket.push(expired(socket));
    await settle();
    expect([status(), world.called('/f1/').length]).toEqual(['sending', 4]);
  });

  it('waits where they cannot be had now, and goes on', async () => {
    let away = true;
    const { world, socket, status } = await refused((path) => (away ? { status: 503, body: { code: 'unavailable' } } : fresh(path)));
    expect([status(), socket.of('send').length]).toEqual(['sending', 1]);
    away = false;
    for (let i = 0; i < 100 && socket.of('send').length === 1; i++) await world.clock.advance(50);
    socket.push(expired(socket));
    await settle();
    expect(socket.last('send').message.attachments).toEqual(['a1.new-f1', 'a1.new-f2']);
  });

  it('does not give up however often they cannot be had', async () => {
    let away = true;
    const { world, socket, status } = await refused((path) => (away ? { status: 503, body: { code: 'unavailable' } } : fresh(path)));
    const until = async (done: () => boolean) => {
      for (let i = 0; i < 2000 && !done(); i++) await world.clock.advance(50);
    };
    for (let tries = 1; tries < 5; tries++) {
      const sent = socket.of('send').length;
      await until(() => socket.of('send').length > sent);
      away = tries < 4;
      socket.push(expired(socket));
      await settle();
      expect(status()).toBe('sending');
    }
    await until(() => socket.last('send').message.attachments?.[0] === 'a1.new-f1');
    expect(socket.last('send').message.attachments).toEqual(['a1.new-f1', 'a1.new-f2']);
  });

  it('is not sent twice when the connection is lost meanwhile', async () => {
    const answers: (() => void)[] = [];
    const { world, socket, id } = await refused((path) => new Promise((resolve) => answers.push(() => resolve(fresh(path)))));
    expect(answers).toHaveLength(2);
    socket.shut(1006);
    await world.clock.advance(5000);
    const next = await greet(world);
    expect(next.of('send')).toHaveLength(1);
    answers.forEach((answer) => answer());
    await settle();
    expect(next.of('send')).toHaveLength(1);
    next.push(expired(next));
    await settle();
    answers.slice(2).forEach((answer) => answer());
    await settle();
    expect(next.of('send')).toHaveLength(2);
    expect(next.last('send').message).toMatchObject({ id, attachments: ['a1.new-f1', 'a1.new-f2'] });
  });
});
