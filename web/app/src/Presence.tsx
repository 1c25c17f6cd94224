import { nameOf, presenceOf, roomNow, typists } from './people.js';
import { availabilityText, presenceLine, roomText, statusLine, typingText } from './peopleText.js';

/** A mark whose shape tells as much as its colour; `PresenceText` says the same in words. Nothing where nothing is known. */
export function Dot({ userId }: { userId: string }) {
  const presence = presenceOf(userId).value;
  if (!presence) return null;
  return <span class={`here ${presence.availability}`} data-presence={presence.availability} title={availabilityText(presence.availability)} aria-hidden="true" />;
}

/** For screen readers, behind a name. */
export function PresenceText({ userId }: { userId: string }) {
  const presence = presenceOf(userId).value;
  return presence ? <span class="sr-only"> ({availabilityText(presence.availability)})</span> : null;
}

/** The emoji that somebody shows behind his name. */
export function StatusEmoji({ userId }: { userId: string }) {
  const presence = presenceOf(userId).value;
  const line = statusLine(presence);
  if (line === '') return null;
  return <span class="status-emoji" role="img" aria-label={`Status: ${line}`} title={line}>{presence!.statusEmoji || '💬'}</span>;
}

/** Where the other one of a conversation stands. */
export function PartnerLine({ userId }: { userId: string }) {
  const presence = presenceOf(userId).value;
  if (!presence) return <p class="muted"> </p>;
  return <p class="muted" data-presence={presence.availability}>{[presenceLine(presence, Date.now()), statusLine(presence)].filter(Boolean).join(' · ')}</p>;
}

/** How many are here; opens the list. */
export function RoomButton({ open, toggle }: { open: boolean; toggle: () => void }) {
  const here = roomNow.value;
  return (
    <button class="quiet room" type="button" aria-expanded={open} aria-controls="members" onClick={toggle}>
      {here ? roomText(here) : 'Members'}
    </button>
  );
}

/** Who writes: one line whose height is always there. */
export function Typing() {
  const here = typists.value;
  const text = here ? typingText(here.userIds.map(nameOf), here.more) : '';
  return (
    <div class="typing" aria-live="polite">
      {text !== '' && <span class="typing-dots" aria-hidden="true"><i /><i /><i /></span>}
      <span>{text}</span>
    </div>
  );
}
