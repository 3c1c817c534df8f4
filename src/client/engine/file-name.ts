const NAME_MAX_BYTES = 200;
const FALLBACK = 'file';
/** What a name may not hold: controls, turns of the reading direction, and what some file systems do not take. */
const UNWANTED = /[\p{Cc}\p{Cs}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff<>:"|?*]/gu;

/**
 * A name that somebody else gave to a file, as one that can do no harm in a folder: the last part of a path, without
 * controls, hidden from nobody (no dot in front), not an option of a program, and not too long. Never empty.
 */
export function safeFileName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  const cleaned = last
    .normalize('NFC')
    .replace(UNWANTED, '')
    .replace(/^[\s.~-]+|[\s.]+$/g, '');
  return cut(cleaned) || FALLBACK;
}

/** Keeps the ending, by which programs know what a file is. */
function cut(name: string): string {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes <= NAME_MAX_BYTES) return name;
  const dot = name.lastIndexOf('.');
  const ending = dot > 0 && name.length - dot <= 12 ? name.slice(dot) : '';
  let stem = '';
  let left = NAME_MAX_BYTES - new TextEncoder().encode(ending).length;
  for (const character of name.slice(0, dot > 0 && ending !== '' ? dot : undefined)) {
    left -= new TextEncoder().encode(character).length;
    if (left < 0) break;
    stem += character;
  }
  return `${stem}${ending}`;
}

/** A size for people, decimal: `1.2 MB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  let [value, unit] = [bytes, 'bytes'];
  for (const next of ['kB', 'MB', 'GB', 'TB']) {
    if (value < 999.5) break;
    [value, unit] = [value / 1000, next];
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
