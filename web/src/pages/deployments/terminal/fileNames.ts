// Names and paths of the machine's files. Anyone who can write there chooses them.

import { formatNumber } from '../../../parts/locale';

/**
 * A name as it is shown: what would move the cursor, break the line or turn the direction of the
 * text is visible instead.
 */
export function safeName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it replaces
  return name.replace(/[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '\ufffd');
}

export function joinPath(folder: string, name: string): string {
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`;
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** What is wrong with a new name, or null. */
export function nameProblem(name: string): string | null {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
    return 'Enter a name without a slash, other than “.” and “..”.';
  if (new TextEncoder().encode(name).length > 255) return 'The name is too long.';
  return null;
}

/** The name of a saved file: no system has a path or a control character in it. */
export function savedName(name: string): string {
  return safeName(name).replace(/[\ufffd/\\:*?"<>|]/g, '_');
}

/** A path as one word of a shell. */
export function shellQuote(path: string): string {
  return `'${safeName(path).replaceAll("'", "'\\''")}'`;
}

const units = ['B', 'KB', 'MB', 'GB', 'TB'];

/** A size with its unit and at most one decimal; 1 KB is 1,000 bytes, as for volumes. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${formatNumber(value, unit === 0 ? 0 : 1)} ${units[unit]}`;
}
