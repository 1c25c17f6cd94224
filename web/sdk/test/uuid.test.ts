import { expect, it } from 'vitest';
import { uuidv7 } from '../src/uuid.js';

it('is a UUID of version 7 that carries the time', () => {
  const id = uuidv7(0x0123_4567_89ab, new Uint8Array(16).fill(0xff));
  expect(id).toBe('01234567-89ab-7fff-bfff-ffffffffffff');
});

it('sorts by time', () => {
  const random = new Uint8Array(16).fill(0xff);
  expect(uuidv7(1000, random) < uuidv7(1001, new Uint8Array(16))).toBe(true);
});
