/**
 * User and group names: labels of 1–32 letters, digits, `.`, `_`, `-`, unique after folding. Accounts and groups are
 * keyed by ids, so a name can change hands without anybody being mistaken for somebody else.
 */

export const NAME_MAX_CHARACTERS = 32;
const NAME = /^[\p{L}\p{M}\p{N}._-]+$/u;

export type NameCheck = { ok: true; name: string } | { ok: false; reason: string };

/** Checks a name as typed (a leading `#` of a group name is dropped) and gives its NFKC form. */
export function checkName(typed: string): NameCheck {
  const name = typed.replace(/^#/, '').normalize('NFKC');
  const length = [...name].length;
  if (length === 0) return { ok: false, reason: 'a name needs at least one character' };
  if (length > NAME_MAX_CHARACTERS) {
    return { ok: false, reason: `a name has at most ${NAME_MAX_CHARACTERS} characters, this one has ${length}` };
  }
  if (!NAME.test(name)) return { ok: false, reason: 'a name is made of letters, digits, ".", "_" and "-"' };
  if (/^\.+$/.test(name)) return { ok: false, reason: 'a name cannot be only dots' };
  return { ok: true, name };
}

/** The form two names are compared in: equal folded names are the same name. */
export function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase().normalize('NFKC');
}
