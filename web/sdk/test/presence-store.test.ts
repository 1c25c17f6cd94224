import { describe, expect, it } from 'vitest';
import { PresenceStore } from '../src/presence.js';
import type { ChannelPresenceFrame, PresenceFrame, WireUserPresence } from '../src/wire.js';

const user = (userId: string): WireUserPresence => ({ userId, availability: 'online' }) as WireUserPresence;
const list = (channelId: string, ...userIds: string[]) =>
  ({ type: 'channelPresence', channelId, members: 3, online: userIds.length, counted: false, users: userIds.map(user) }) as ChannelPresenceFrame;
const came = (userId: string) => ({ type: 'presence', snapshot: false, users: [user(userId)], hiddenUserIds: [] }) as unknown as PresenceFrame;

describe('somebody who came and is in no list yet', () => {
  const store = () => {
    const made = new PresenceStore();
    made.onChannel(list('a', 'ann'));
    made.onChannel(list('b', 'bob'));
    made.onPresence(came('zoe'));
    return made;
  };

  it('is known until each channel in focus has been listed without him', () => {
    const one = store();
    expect(one.onChannel(list('b', 'bob'))).toEqual(['bob']); // he may be of the other one
    expect(one.user('zoe')?.availability).toBe('online');
    expect(one.onChannel(list('a', 'ann'))).toEqual(['ann', 'zoe']);
    expect(one.user('zoe')).toBeUndefined();
  });

  it('is known as long as a list has him', () => {
    const one = store();
    one.onChannel(list('a', 'ann', 'zoe'));
    one.onChannel(list('b', 'bob'));
    expect(one.user('zoe')?.availability).toBe('online');
  });

  it('is forgotten with the focus of the channels that he may be of', () => {
    const one = store();
    one.onChannel(list('c'));
    one.focus(['b', 'c']);
    expect(one.user('zoe')?.availability).toBe('online');
    expect(one.focus(['c'])).toEqual(['bob', 'zoe']);
  });
});
