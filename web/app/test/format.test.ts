import { describe, expect, it } from 'vitest';
import { colourOf, dayName, dayOf, initials, linkify } from '../src/format.js';

describe('linkify', () => {
  const links = (text: string) => linkify(text).filter((part) => part.href).map((part) => part.text);

  it('finds links and leaves the text around them as it is', () => {
    expect(linkify('see https://example.org/a?b=c, or not')).toEqual([
      { text: 'see ' },
      { text: 'https://example.org/a?b=c', href: 'https://example.org/a?b=c' },
      { text: ', or not' },
    ]);
  });

  it('leaves the punctuation of the sentence out, and keeps brackets of the link', () => {
    expect(links('(https://example.org/x).')).toEqual(['https://example.org/x']);
    expect(links('https://example.org/Foo_(bar)!')).toEqual(['https://example.org/Foo_(bar)']);
  });

  it('makes nothing else a link', () => {
    for (const text of ['javascript:alert(1)', 'data:text/html,x', 'ftp://x/y', 'xhttps://a.b', '<b>bold</b>', 'https://']) {
      expect(links(text)).toEqual([]);
      expect(linkify(text)).toEqual([{ text }]);
    }
    expect(linkify('')).toEqual([]);
  });

  it('stops at quotes and angle brackets', () => {
    expect(links('<a href="https://example.org/">x</a>')).toEqual(['https://example.org/']);
  });
});

describe('days', () => {
  const at = (day: number, hour: number) => new Date(2026, 4, day, hour).getTime();

  it('are local days', () => {
    expect(dayOf(at(10, 0))).toBe(dayOf(at(10, 23)));
    expect(dayOf(at(11, 0)) - dayOf(at(10, 23))).toBe(1);
  });

  it('have names', () => {
    expect(dayName(at(10, 1), at(10, 23))).toBe('Today');
    expect(dayName(at(9, 23), at(10, 0))).toBe('Yesterday');
    expect(dayName(at(3, 12), at(10, 0))).not.toContain('2026');
    expect(dayName(new Date(2025, 4, 3).getTime(), at(10, 0))).toContain('2025');
  });
});

describe('people', () => {
  it('have initials', () => {
    expect(['Ada', 'ada lovelace', ' Grace  Brewster Hopper ', '😀 x', ''].map(initials)).toEqual(['A', 'AL', 'GH', '😀X', '?']);
  });

  it('keep their colour', () => {
    expect(colourOf('ada', 10)).toBe(colourOf('ada', 10));
    const colours = new Set(Array.from({ length: 200 }, (_, i) => colourOf(`user-${i}`, 10)));
    expect(colours.size).toBe(10);
  });
});
