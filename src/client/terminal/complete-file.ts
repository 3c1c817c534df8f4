import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandName } from './command-table.ts';
import type { Completion } from './complete.ts';
import { typedPath } from './local-path.ts';
import { neutralise } from './neutralise.ts';

/** Commands that are told a file, which then goes to the end of the line, and how many words stand before it. */
const WORDS_BEFORE_FILE: Readonly<Partial<Record<CommandName, number>>> = {
  send: 0,
  export: 0,
  pack: 0,
  unpack: 0,
  save: 1,
};
/** Of a folder; what comes after them is not offered. */
const ENTRIES_MAX = 10_000;
const CANDIDATES_MAX = 100;
/** Several spaces, or those of another kind, cannot be typed: a line is taken word by word. */
const UNTYPABLE = /^\s|\s$|\s{2}|[^\S ]/;

export interface TypedPath {
  /** Where it begins in the line. */
  readonly from: number;
  readonly text: string;
}

/** The path of a file that ends at the cursor; `undefined` where no command is told one. */
export function pathBefore(beforeCursor: string): TypedPath | undefined {
  const [, typed = '', rest = ''] = /^\/([a-z]+)(\s[\s\S]*)$/i.exec(beforeCursor) ?? [];
  const name = typed.toLowerCase();
  const before = Object.hasOwn(WORDS_BEFORE_FILE, name) ? WORDS_BEFORE_FILE[name as CommandName] : undefined;
  if (before === undefined) return undefined;
  const text = new RegExp(`^\\s+(?:\\S+\\s+){${before}}([\\s\\S]*)$`).exec(rest)?.[1];
  return text === undefined ? undefined : { from: beforeCursor.length - text.length, text };
}

/** Completes the last part of a path; `undefined` when nothing there begins like it. Folders end with a slash. */
export async function completeFile({ from, text }: TypedPath): Promise<Completion | undefined> {
  const slash = text.lastIndexOf('/') + 1;
  const begun = text.slice(slash);
  const names = await namesIn(typedPath(text.slice(0, slash) || './'), begun);
  const [only] = names;
  if (only === undefined) return undefined;
  const at = from + slash;
  if (names.length === 1) return { from: at, text: only.endsWith('/') ? only : `${only} `, candidates: [] };
  const common = names.reduce((left, right) => {
    let length = 0;
    while (length < left.length && left[length] === right[length]) length += 1;
    return left.slice(0, length);
  });
  const more = names.length > CANDIDATES_MAX ? ['…'] : [];
  return { from: at, text: common, candidates: [...names.slice(0, CANDIDATES_MAX), ...more] };
}

async function namesIn(folder: string, begun: string): Promise<readonly string[]> {
  const names: string[] = [];
  let seen = 0;
  try {
    for await (const entry of await opendir(folder)) {
      seen += 1;
      if (seen > ENTRIES_MAX) break;
      const { name } = entry;
      const isHidden = name.startsWith('.') && !begun.startsWith('.');
      if (isHidden || !name.startsWith(begun) || UNTYPABLE.test(name) || neutralise(name) !== name) continue;
      const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToFolder(join(folder, name))));
      names.push(isFolder ? `${name}/` : name);
    }
  } catch {
    return []; // no folder, or not ours to look into: there is nothing to offer
  }
  return names.sort();
}

async function leadsToFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false; // it leads nowhere
  }
}
