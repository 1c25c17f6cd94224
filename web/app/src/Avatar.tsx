import { colourOf, initials } from './format.js';
import { Dot } from './Presence.js';

/** Colours in style.css: .hue-0 to .hue-9. */
const HUES = 10;

interface Props {
  id: string;
  name: string;
  small?: boolean;
  /** With a mark that says whether he is here. */
  present?: boolean;
}

export function Avatar({ id, name, small = false, present = false }: Props) {
  return (
    <span class={`avatar hue-${colourOf(id, HUES)}${small ? ' small' : ''}`} aria-hidden="true">
      {initials(name || id)}
      {present && <Dot userId={id} />}
    </span>
  );
}
