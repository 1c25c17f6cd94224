import { describe, expect, it } from 'vitest';
import { boxOf, fileProblem, isShown, kindText, sizeText } from '../src/fileText.js';

describe('a file', () => {
  it.each([
    [1, '1 byte'],
    [999, '999 bytes'],
    [1000, '1.0 KB'],
    [999_499, '999 KB'],
    [999_600, '1.0 MB'],
    [12_345_678, '12 MB'],
    [5_368_709_120, '5.4 GB'],
    [3e15, '3000 TB'],
  ])('of %i bytes', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it.each([
    ['report.pdf', 'application/pdf', 'PDF'],
    ['a.tar.gz', 'application/gzip', 'GZ'],
    ['README', 'text/plain', 'PLAIN'],
    ['README', 'application/octet-stream', 'File'],
    ['.', '', 'File'],
  ])('%s of type %s', (name, type, text) => {
    expect(kindText(name, type)).toBe(text);
  });

  it('that failed says what can be done', () => {
    expect(fileProblem('too_large', 'at most 5 GiB')).toBe('This file is too large.');
    expect(fileProblem('unavailable', '')).toContain('goes on where it was');
    expect(fileProblem('bad_request', 'the file is empty')).toContain('the file is empty');
  });

  it.each([
    ['the content is not what contentType says; the upload was removed', /right ending/, false],
    ["the object's SHA-256 is not the one that was announced; the upload was removed", /was changed/, false],
    ['the object has not the size that was announced; the upload was removed', /was changed/, false],
    ['the thumbnail is not what its contentType says; the upload was removed', /preview/, true],
    ['not all of it was uploaded: GET the upload to see which parts are there', /Not all/, true],
    ['the file is in 50 channels already: upload it again', /too many channels/, false],
  ])('that was refused (%s) is advised to be sent again only where that helps', (message, advice, again) => {
    const text = fileProblem('conflict', message);
    expect(text).toMatch(advice);
    expect(text.includes('Try again')).toBe(again);
  });
});

describe('an image', () => {
  it('is shown only where a browser cannot run it', () => {
    expect(['image/png', 'image/webp', 'image/svg+xml', 'text/html', 'image/pngx'].map(isShown)).toEqual([true, true, false, false, false]);
  });

  it.each([
    [4000, 2000, 360, 180],
    [1000, 3000, 100, 300],
    [100, 50, 100, 50],
    [10_000, 10, 360, 32],
    [0, 0, 240, 240],
  ])('of %i to %i pixels has its box before it is here', (width, height, boxWidth, boxHeight) => {
    expect(boxOf(width, height)).toEqual({ width: boxWidth, height: boxHeight });
  });
});
