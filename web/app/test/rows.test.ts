import type { ConnectionState, Message } from '@parley/sdk';
import { describe, expect, it } from 'vitest';
import { rowsOf } from '../src/rows.js';
import { statusText } from '../src/status.js';

const message = (senderId: string, at: Date) => ({ senderId, createdAt: at.getTime() }) as Message;

describe('rows', () => {
  const at = (day: number, minute: number) => new Date(2026, 4, day, 12, minute);
  const look = (...messages: Message[]) => rowsOf(messages).map(({ newDay, lead }) => `${newDay ? 'day ' : ''}${lead ? 'lead' : '-'}`);

  it('group one author within five minutes', () => {
    const rows = look(message('a', at(1, 0)), message('a', at(1, 5)), message('a', at(1, 11)), message('b', at(1, 11)));
    expect(rows).toEqual(['day lead', '-', 'lead', 'lead']);
  });

  it('begin anew with each day', () => {
    const rows = look(message('a', new Date(2026, 4, 1, 23, 59)), message('a', new Date(2026, 4, 2, 0, 1)));
    expect(rows).toEqual(['day lead', 'day lead']);
  });
});

describe('status', () => {
  const text = (state: Partial<ConnectionState>) => statusText({ status: 'online', attempt: 0, ...state }, 1000);

  it('is silent while all is well, and on the first attempt', () => {
    expect(text({}).long).toBe('');
    expect(text({ status: 'connecting' }).long).toBe('');
  });

  it('counts the seconds down', () => {
    expect(text({ status: 'waiting', attempt: 1, retryAt: 5500 }).long).toContain('in 5 seconds');
    expect(text({ status: 'waiting', attempt: 1, retryAt: 1200 }).long).toContain('Trying again…');
  });

  it('offers what helps', () => {
    expect(text({ status: 'offline', attempt: 1 }).action?.run).toBe('reconnect');
    expect(text({ status: 'closed', reason: 'unauthenticated' }).action?.run).toBe('signIn');
    expect(text({ status: 'closed', reason: 'protocol_error' }).action?.run).toBe('reload');
    expect(text({ status: 'closed', reason: 'forbidden' }).long).toContain('not allowed');
  });
});
