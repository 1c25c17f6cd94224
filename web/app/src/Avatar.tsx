import { colourOf, initials } from './format.js';

/** Colours in style.css: .hue-0 to .hue-9. */
const HUES = 10;

export function Avatar({ id, name, small = false }: { id: string; name: string; small?: boolean }) {
  return (
    <span class={`avatar hue-${colourOf(id, HUES)}${small ? ' small' : ''}`} aria-hidden="true">
      {initials(name || id)}
    </span>
  );
}
