import type { Message } from '@parley/sdk';
import { dayOf } from './format.js';

/** A message and how it stands in the list. */
export interface Row {
  message: Message;
  /** The first of its day: a separator stands above it. */
  newDay: boolean;
  /** The first of its author's run: name and picture are shown. */
  lead: boolean;
}

/** A run of one author ends after this pause. */
const RUN_MS = 5 * 60_000;

/** Groups messages by day and author. */
export function rowsOf(messages: readonly Message[]): Row[] {
  return messages.map((message, index) => {
    const before = messages[index - 1];
    const newDay = !before || dayOf(before.createdAt) !== dayOf(message.createdAt);
    const pause = before ? message.createdAt - before.createdAt : 0;
    const lead = newDay || !before || before.senderId !== message.senderId || pause > RUN_MS;
    return { message, newDay, lead };
  });
}
