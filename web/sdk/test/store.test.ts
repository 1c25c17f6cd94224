import { describe, expect, it } from 'vitest';
import { ChannelStore, MAX_CHANGES } from '../src/store.js';
import { deleteEvent, editEvent, messageEvent, wireMessage } from './fakes.js';

const contents = (store: ChannelStore): string[] => store.messages.map((message) => message.content);

describe('messages', () => {
  it('stand in order of their sequence, each once', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(5, 0));
    store.apply(messageEvent(3, 0));
    expect(store.apply(messageEvent(5, 0))).toBeUndefined();
    store.addPage([wireMessage(1), wireMessage(3)], 5);
    expect(contents(store)).toEqual(['m1', 'm3', 'm5']);
  });

  it('keep the first of two copies with one identity', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0, 'first', 'ada', 'same'));
    store.apply(messageEvent(4, 3, 'second', 'ada', 'same'));
    store.apply(messageEvent(5, 4, 'of another', 'bob', 'same'));
    expect(contents(store)).toEqual(['first', 'of another']);
  });

  it('give the same array and objects while nothing changes', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.apply(messageEvent(4, 3));
    const before = store.messages;
    store.apply(messageEvent(3, 0));
    expect(store.messages).toBe(before);
    store.apply(editEvent(5, 4, 4, 'new'));
    expect(store.messages).not.toBe(before);
    expect(store.messages[0]).toBe(before[0]);
  });

  it('are forgotten below a sequence, and come back with a page', () => {
    const store = new ChannelStore();
    for (let seq = 1; seq <= 4; seq++) store.apply(messageEvent(seq, seq - 1));
    expect(store.dropBelow(3)).toBe(2);
    expect(contents(store)).toEqual(['m3', 'm4']);
    store.addPage([wireMessage(1), wireMessage(2)], 4);
    expect(contents(store)).toEqual(['m1', 'm2', 'm3', 'm4']);
  });
});

describe('edits', () => {
  it('replace the content, and are applied once in any order', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.apply(editEvent(6, 5, 3, 'second'));
    store.apply(editEvent(5, 3, 3, 'first'));
    store.apply(editEvent(6, 5, 3, 'second'));
    expect(contents(store)).toEqual(['second']);
    expect(store.messages[0]!.updatedAt).toBe(6000);
  });

  it('wait for a message that comes later', () => {
    const store = new ChannelStore();
    store.apply(editEvent(6, 5, 3, 'edited'));
    store.apply(messageEvent(3, 0));
    expect(contents(store)).toEqual(['edited']);
  });

  it('are not undone by a page that was made before them', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.apply(editEvent(6, 5, 3, 'edited'));
    store.addPage([wireMessage(3, 'old')], 5);
    expect(contents(store)).toEqual(['edited']);
  });

  it('are not applied to a page that already has a later one', () => {
    const store = new ChannelStore();
    store.addPage([wireMessage(3, 'third edit')], 9);
    store.apply(editEvent(6, 5, 3, 'first edit'));
    expect(contents(store)).toEqual(['third edit']);
  });

  it('come with a page that is newer than what is here', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.addPage([wireMessage(3, 'edited meanwhile')], 9);
    expect(contents(store)).toEqual(['edited meanwhile']);
  });

  it('are kept in a bounded number', () => {
    const store = new ChannelStore();
    for (let i = 0; i <= MAX_CHANGES; i++) store.apply(editEvent(10_000 + i, 0, i + 1, 'edited'));
    store.addPage([wireMessage(1), wireMessage(2)], 10);
    expect(contents(store)).toEqual(['m1', 'edited']);
  });
});

describe('deletions', () => {
  it('leave a tombstone that no edit and no old copy revives', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.apply(deleteEvent(5, 3, 3));
    store.apply(editEvent(6, 5, 3, 'late'));
    store.apply(messageEvent(3, 0));
    store.addPage([wireMessage(3)], 4);
    expect(store.messages.map(({ content, deleted }) => ({ content, deleted }))).toEqual([{ content: '', deleted: true }]);
  });

  it('reach a message that comes later, and win over edits whatever their order', () => {
    const store = new ChannelStore();
    store.apply(deleteEvent(5, 3, 3));
    store.apply(editEvent(6, 5, 3, 'late'));
    store.apply(messageEvent(3, 0));
    expect(store.messages[0]!.deleted).toBe(true);
  });

  it('are shown where only removed events are left: the message, not its edits', () => {
    const store = new ChannelStore();
    const removed = (seq: number, id: string) =>
      ({ channelId: 'general', seq, prev: 0, id, actorId: 'ada', createdAt: '1970-01-01T00:00:03Z', removed: { reason: 'deleted' } }) as const;
    store.apply(messageEvent(5, 3));
    store.apply(removed(3, 'gone'));
    store.apply(removed(4, 'its edit'));
    store.apply(deleteEvent(6, 5, 3));
    expect(store.messages.map(({ seq, deleted, senderName }) => [seq, deleted, senderName])).toEqual([[3, true, 'ada'], [5, false, 'ada']]);
    expect(store.messages[0]).toMatchObject({ key: 'ada/gone', content: '', createdAt: 3000 });
  });

  it('are told by a removed event as well', () => {
    const store = new ChannelStore();
    store.apply(messageEvent(3, 0));
    store.apply({ channelId: 'general', seq: 3, prev: 0, id: '', actorId: '', removed: { reason: 'deleted' } });
    expect(store.messages[0]!.deleted).toBe(true);
  });
});
