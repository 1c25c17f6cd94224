import type { Availability, ChannelPresence, Member, UserPresence } from '@parley/sdk';
import { clockTime, dayName, dayOf } from './format.js';

/** What a person is told about other persons. Pure. */

const WORDS: Record<Availability, string> = {
  offline: 'offline',
  online: 'online',
  away: 'away',
  dnd: 'do not disturb',
  invisible: 'invisible',
};

export const availabilityText = (availability: Availability): string => WORDS[availability];

/** Lists of members, by channel, in which this one is called what he calls himself now; the same ones where that changes nothing. */
export function named(lists: ReadonlyMap<string, readonly Member[]>, userId: string, name: string): ReadonlyMap<string, readonly Member[]> {
  const others = (list: readonly Member[]) => name !== '' && list.some((member) => member.userId === userId && member.name !== name);
  if (![...lists.values()].some(others)) return lists;
  const renamed = (list: readonly Member[]) => list.map((member) => (member.userId === userId ? { ...member, name } : member));
  return new Map([...lists].map(([channelId, list]) => [channelId, others(list) ? renamed(list) : list]));
}

/** Who is here comes first. */
const RANK: Record<Availability, number> = { online: 0, dnd: 1, away: 2, invisible: 3, offline: 4 };

export const rankOf = (presence: UserPresence | undefined): number => RANK[presence?.availability ?? 'offline'];

const number = new Intl.NumberFormat('en');
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** "5 minutes ago", "yesterday". `at` is known to the minute only. */
export function agoText(at: number, now: number): string {
  const minutes = Math.max(0, Math.round((now - at) / 60_000));
  if (minutes < 2) return 'a moment ago';
  if (minutes < 60) return relative.format(-minutes, 'minute');
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), 'hour');
  return relative.format(-Math.round(minutes / (24 * 60)), 'day');
}

/** Where somebody stands, in a line: "Away", "Last seen 5 minutes ago". */
export function presenceLine(presence: UserPresence, now: number): string {
  if (presence.availability === 'offline' && presence.lastSeenAt > 0) return `Last seen ${agoText(presence.lastSeenAt, now)}`;
  const word = availabilityText(presence.availability);
  return word[0]!.toUpperCase() + word.slice(1);
}

/** What somebody says of himself: "🌴 On holiday"; empty: nothing. */
export const statusLine = (presence: UserPresence | undefined): string =>
  [presence?.statusEmoji, presence?.statusText].filter(Boolean).join(' ');

/** "3 of 12 online", "1,234 online". */
export function roomText(room: ChannelPresence): string {
  const online = `${number.format(room.online)} online`;
  return room.members > 0 && !room.counted ? `${number.format(room.online)} of ${number.format(room.members)} online` : online;
}

/** Instead of a list of members. */
export const noListText = (everyone: boolean): string =>
  everyone ? 'This channel is open to everyone, so its members are not listed.' : 'There are too many people here for a list.';

/** `names` may be empty where they are not known; `more` are not named at all. */
export function typingText(names: readonly string[], more: number): string {
  const known = names.filter((name) => name !== '');
  const all = names.length + more;
  if (all === 0) return '';
  if (all === 1) return `${known[0] ?? 'Somebody'} is typing…`;
  if (known.length === 0) return `${number.format(all)} people are typing…`;
  if (all === 2 && known.length === 2) return `${known[0]} and ${known[1]} are typing…`;
  const others = all - 1;
  return `${known[0]} and ${number.format(others)} ${others === 1 ? 'other' : 'others'} are typing…`;
}

/** An end that was chosen before: "at 1:20 PM", with the day where it is not today. */
export function endText(at: number, now: number): string {
  const days = dayOf(at) - dayOf(now);
  if (days === 0) return `at ${clockTime(at)}`;
  return days === 1 ? `tomorrow at ${clockTime(at)}` : `${dayName(at, now)}, ${clockTime(at)}`;
}

/** Ends of a status that the dialog offers, as times; `now` is a local time. */
export function endsOf(now: number): { key: string; label: string; at: number }[] {
  const morning = new Date(now);
  morning.setDate(morning.getDate() + 1);
  morning.setHours(8, 0, 0, 0);
  return [
    { key: '30m', label: 'in 30 minutes', at: now + 30 * 60_000 },
    { key: '1h', label: 'in an hour', at: now + 3_600_000 },
    { key: '4h', label: 'in 4 hours', at: now + 4 * 3_600_000 },
    { key: 'morning', label: 'tomorrow morning', at: morning.getTime() },
  ];
}
