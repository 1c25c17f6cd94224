import { describe, expect, it } from 'vitest';
import type { Member, UserPresence } from '@parley/sdk';
import { agoText, endsOf, endText, named, noListText, presenceLine, rankOf, roomText, statusLine, typingText } from '../src/peopleText.js';

const NOW = Date.UTC(2026, 0, 2, 12, 0, 0);
const MINUTE = 60_000;
const presence = (more: Partial<UserPresence>): UserPresence => ({
  userId: 'bob', availability: 'online', devices: [], statusText: '', statusEmoji: '', statusUntil: 0, lastSeenAt: 0, ...more,
});

describe('who is typing', () => {
  it.each([
    [[], 0, ''],
    [['Anna'], 0, 'Anna is typing…'],
    [['Anna', 'Bob'], 0, 'Anna and Bob are typing…'],
    [['Anna', 'Bob', 'Carla'], 0, 'Anna and 2 others are typing…'],
    [['Anna'], 1, 'Anna and 1 other are typing…'],
    [['Anna', 'Bob'], 1200, 'Anna and 1,201 others are typing…'],
    [['', 'Bob'], 0, 'Bob and 1 other are typing…'],
    [[''], 0, 'Somebody is typing…'],
    [['', ''], 1, '3 people are typing…'],
  ])('%j and %i more', (names, more, text) => {
    expect(typingText(names, more)).toBe(text);
  });
});

describe('where somebody stands', () => {
  it('says when he was here last, where that is known', () => {
    expect(presenceLine(presence({ availability: 'dnd' }), NOW)).toBe('Do not disturb');
    expect(presenceLine(presence({ availability: 'offline' }), NOW)).toBe('Offline');
    expect(presenceLine(presence({ availability: 'offline', lastSeenAt: NOW - 5 * MINUTE }), NOW)).toBe('Last seen 5 minutes ago');
  });

  it.each([
    [0, 'a moment ago'],
    [-5, 'a moment ago'],
    [59, '59 minutes ago'],
    [61, '1 hour ago'],
    [60 * 26, 'yesterday'],
    [60 * 24 * 3, '3 days ago'],
  ])('%i minutes ago', (minutes, text) => {
    expect(agoText(NOW - minutes * MINUTE, NOW)).toBe(text);
  });

  it('shows what he says', () => {
    expect(statusLine(presence({ statusEmoji: '🌴', statusText: 'On holiday' }))).toBe('🌴 On holiday');
    expect([statusLine(presence({ statusText: 'Ill' })), statusLine(undefined)]).toEqual(['Ill', '']);
  });

  it('comes first when he is here', () => {
    const order = [undefined, presence({ availability: 'away' }), presence({ availability: 'dnd' }), presence({})];
    expect(order.sort((a, b) => rankOf(a) - rankOf(b)).map((each) => each?.availability)).toEqual(['online', 'dnd', 'away', undefined]);
  });
});

describe('a channel', () => {
  it('is counted', () => {
    const room = { channelId: 'c', members: 12, online: 3, counted: false, userIds: [] };
    expect(roomText(room)).toBe('3 of 12 online');
    expect(roomText({ ...room, members: 9000, online: 1234, counted: true })).toBe('1,234 online');
  });

  it('has no list for one of two reasons', () => {
    expect(noListText(true)).toMatch(/open to everyone/);
    expect(noListText(false)).toMatch(/too many/);
  });
});

describe('members', () => {
  const member = (userId: string, name: string): Member => ({ userId, name, role: 'member' });
  const lists = new Map([['dm', [member('ada', 'Ada'), member('bob', '')]], ['plans', [member('ada', 'Ada')]]]);

  it('are called what they call themselves, once they have written', () => {
    const told = named(lists, 'bob', 'Bob');
    expect(told.get('dm')!.map(({ name }) => name)).toEqual(['Ada', 'Bob']);
    expect(told.get('plans')).toBe(lists.get('plans'));
  });

  it('stay as they are when nothing is new, or nothing is said', () => {
    expect([named(lists, 'ada', 'Ada'), named(lists, 'carla', 'Carla'), named(lists, 'bob', '')]).toEqual([lists, lists, lists]);
    expect(named(lists, 'ada', 'Ada')).toBe(lists);
  });
});

describe('ends of a status', () => {
  it('say their day where it is not today', () => {
    const noon = new Date(2026, 4, 10, 12).getTime();
    const hours = (count: number) => endText(noon + count * 3_600_000, noon);
    expect(hours(1)).toMatch(/^at \D*1/);
    expect(hours(13)).toMatch(/^tomorrow at /);
    expect(hours(26)).toMatch(/^tomorrow at /);
    expect(hours(5 * 24)).toMatch(/15.*12/); // the date, the hour
    expect(hours(300 * 24)).toMatch(/2027/);
  });

  it('are in the future, in order; the morning is that of the next day', () => {
    const ends = endsOf(NOW);
    expect(ends.every(({ at }) => at > NOW)).toBe(true);
    const morning = new Date(ends.at(-1)!.at);
    expect([morning.getHours(), morning.getMinutes()]).toEqual([8, 0]);
    expect(morning.getDate()).toBe(new Date(NOW + 24 * 3_600_000).getDate());
  });
});
