import { announcement } from './model.js';

/** The page's only live region: it stands apart from the list, so that loading history says nothing. */
export function Announcer() {
  return (
    <div class="sr-only" role="status" aria-live="polite" aria-atomic="true">
      {announcement.value}
    </div>
  );
}
