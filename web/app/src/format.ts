const time = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const otherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });

export const clockTime = (at: number): string => time.format(at);
/** The time without "AM" or "PM", where little room is and the time above it has them. */
export const shortTime = (at: number): string =>
  time.formatToParts(at).filter((part) => part.type !== 'dayPeriod').map((part) => part.value).join('').trim();
export const fullTime = (at: number): string => full.format(at);

/** A number that is the same for all times of one local day. */
export function dayOf(at: number): number {
  const date = new Date(at);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

/** "Today", "Yesterday", or the date. */
export function dayName(at: number, now: number): string {
  const days = dayOf(now) - dayOf(at);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? thisYear.format(at) : otherYear.format(at);
}

/** One or two letters for a person's picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words[words.length - 1]!] : words;
  return letters.map((word) => [...word][0] ?? '').join('').toUpperCase() || '?';
}

/** One of `count` colours, always the same for a person. */
export function colourOf(id: string, count: number): number {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + letter.codePointAt(0)!) % 1_000_003;
  return hash % count;
}

/** A part of a message: plain text, or a link that is safe to follow. */
export interface Part {
  text: string;
  href?: string;
}

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Punctuation at the end of a link belongs to the sentence; a closing bracket only when it was not opened in the link. */
const TAIL = /[.,;:!?…]+$/;

/** Finds the links of a text. Only http and https ever become one. */
export function linkify(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const url = trimLink(match[0]);
    if (!URL.canParse(url)) continue;
    if (match.index > from) parts.push({ text: text.slice(from, match.index) });
    parts.push({ text: url, href: new URL(url).href });
    from = match.index + url.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

function trimLink(link: string): string {
  let url = link;
  for (;;) {
    const shorter = url.replace(TAIL, '');
    const open = shorter.split('(').length;
    const closed = shorter.split(')').length;
    const next = shorter.endsWith(')') && closed > open ? shorter.slice(0, -1) : shorter;
    if (next === url) return url;
    url = next;
  }
}
