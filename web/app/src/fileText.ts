/** What a person is told about files. Pure. */

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'] as const;

/** "900 bytes", "1.2 MB". */
export function sizeText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${value === 1 && unit === 0 ? 'byte' : UNITS[unit]}`;
}

/** "PDF", "ZIP": the end of its name, or what its type says. */
export function kindText(name: string, contentType: string): string {
  const end = /\.([A-Za-z0-9]{1,5})$/.exec(name)?.[1];
  const kind = end ?? contentType.split('/')[1]?.replace(/^x-/, '') ?? '';
  return !end && (kind === '' || kind === 'octet-stream') ? 'File' : kind.toUpperCase();
}

/** What went wrong with an upload, and what can be done. */
export function fileProblem(code: string, message: string): string {
  switch (code) {
    case 'too_large':
      return /quota|together|files/.test(message) ? 'Your space is used up. Delete files that you do not need any more.' : 'This file is too large.';
    case 'forbidden':
      return 'Files of this type are not allowed here.';
    case 'not_a_member':
      return 'You are not a member of this channel.';
    case 'archived':
      return 'This channel is archived.';
    case 'conflict':
      return conflictText(message);
    case 'rate_limited':
      return 'Too many uploads at a time. Try again in a moment.';
    case 'bad_request':
      return message === '' ? 'This file cannot be uploaded.' : `This file cannot be uploaded: ${message}.`;
    default:
      return 'The connection was lost. Try again: it goes on where it was.';
  }
}

/** Why what arrived is not taken. Sending the same again helps only where some of it was lost on the way. */
function conflictText(message: string): string {
  if (message.includes('thumbnail')) return 'The preview of this file did not arrive as it was. Try again.';
  if (message.includes('contentType')) return 'What is in this file is not what its name says. Give it the right ending, or save it in that format, and choose it again.';
  if (/SHA-256|size/.test(message)) return 'This file was changed while it was sent. Choose it again.';
  if (message.includes('channels already')) return 'This file is in too many channels. Upload it again.';
  return 'Not all of this file arrived. Try again.';
}

/** Images that are shown in a message; everything else is a row. */
export const isShown = (contentType: string): boolean => /^image\/(png|jpeg|gif|webp|avif)$/.test(contentType);

/** The largest box of an image in a message. Pixels. */
const BOX_WIDTH = 360;
const BOX_HEIGHT = 300;

/** The box of an image, known before it is loaded, so that nothing moves. Where its size is not known: a square. */
export function boxOf(width: number, height: number): { width: number; height: number } {
  if (width <= 0 || height <= 0) return { width: 240, height: 240 };
  const scale = Math.min(1, BOX_WIDTH / width, BOX_HEIGHT / height);
  return { width: Math.max(48, Math.round(width * scale)), height: Math.max(32, Math.round(height * scale)) };
}
