import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { RefObject } from 'preact';

/** Nearer than this to the end counts as being there. Pixels. */
const AT_END_PX = 48;

/** What the reader looks at: a message and where its upper edge stands, or the end of the list. */
interface Anchor {
  key: string;
  offset: number;
}

export interface Scroll {
  scroller: RefObject<HTMLDivElement | null>;
  content: RefObject<HTMLOListElement | null>;
  /** The reader follows the end. */
  atEnd: boolean;
  toEnd: () => void;
  /** To be called on each scroll event. */
  onScroll: () => void;
}

/**
 * Keeps the reader's place. The place is a message and its offset, never a height: whatever is put in above or below, and
 * however it changes its size, that message stays where it was. At the end, the end stays.
 */
export function useScrollAnchor(): Scroll {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLOListElement>(null);
  const anchor = useRef<Anchor | undefined>(undefined);
  const follow = useRef(true);
  const height = useRef(0); // by how much the list could be scrolled when the place was kept last. Pixels.
  const [atEnd, setAtEnd] = useState(true);

  const keep = () => {
    const box = scroller.current;
    if (!box) return;
    restore(box, content.current, follow.current ? undefined : anchor.current);
    height.current = box.scrollHeight - box.clientHeight;
  };
  const onScroll = () => {
    const box = scroller.current;
    if (!box) return;
    // The event may tell of a scrolling before something grew, and comes before the observer: growing is no scrolling away from the end.
    const end = Math.min(height.current, box.scrollHeight - box.clientHeight);
    follow.current = end - box.scrollTop < AT_END_PX;
    anchor.current = findAnchor(box, content.current);
    setAtEnd(follow.current);
  };
  const toEnd = () => {
    follow.current = true;
    setAtEnd(true);
    keep();
  };
  useLayoutEffect(keep);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(keep);
    if (scroller.current) observer.observe(scroller.current);
    if (content.current) observer.observe(content.current);
    return () => observer.disconnect();
  }, []);
  return { scroller, content, atEnd, toEnd, onScroll };
}

/** The first message whose lower edge is in sight. */
function findAnchor(box: HTMLElement, list: HTMLElement | null): Anchor | undefined {
  const top = box.getBoundingClientRect().top;
  const items = list?.querySelectorAll<HTMLElement>('[data-key]') ?? [];
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle]!.getBoundingClientRect().bottom > top) high = middle;
    else low = middle + 1;
  }
  const item = items[low];
  return item && { key: item.dataset.key!, offset: item.getBoundingClientRect().top - top };
}

function restore(box: HTMLElement, list: HTMLElement | null, anchor: Anchor | undefined): void {
  if (!anchor) {
    box.scrollTop = box.scrollHeight;
    return;
  }
  const item = list?.querySelector<HTMLElement>(`[data-key="${CSS.escape(anchor.key)}"]`);
  if (!item) return;
  const moved = item.getBoundingClientRect().top - box.getBoundingClientRect().top - anchor.offset;
  if (Math.abs(moved) >= 1) box.scrollTop += moved;
}
