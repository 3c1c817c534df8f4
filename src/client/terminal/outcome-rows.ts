import type { PersonOutcome } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

/** What came of making somebody an administrator, or of ending that. */
export function roleChanged(outcome: PersonOutcome, group: string, promoted: boolean): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return promoted ? `${name} administers ${group} now` : `${name} does not administer ${group} any more`;
    case 'already':
      return promoted ? `${name} administers ${group} already` : `${name} does not administer ${group}`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'refused':
      return `not done for ${name}: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}

/** What came of an invitation. */
export function invited(outcome: PersonOutcome, group: string): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return `${name} is invited to ${group}`;
    case 'already':
      return `${name} is in ${group} already`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'refused':
      return `${name} was not invited: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}

/** What came of a removal. */
export function removed(outcome: PersonOutcome, group: string): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return `${name} is removed from ${group}`;
    case 'already':
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'refused':
      return `${name} was not removed: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}
