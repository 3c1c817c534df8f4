import type { ChatClient, SafetyNumber } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

/** Rows of a safety number: six groups each. */
const ROW_GROUPS = 6;

/** `/verify NAME` shows the number to compare, `/verify NAME yes` says that it was. */
export async function verifyRows(
  [name = '', confirmed]: readonly string[],
  client: Pick<ChatClient, 'safetyNumber' | 'markVerified'>,
): Promise<readonly string[]> {
  const shown = neutralise(name);
  if (confirmed !== undefined) {
    const outcome = await client.markVerified(name);
    return [
      outcome.kind === 'done'
        ? `${shown} is verified now; you will be told loudly when their keys change`
        : `not done: ${neutralise(outcome.reason)}`,
    ];
  }
  const number = await client.safetyNumber(name);
  if (number === undefined) return [`no such user: ${shown}`];
  if (number.me) return ['this is you; /verify NAME is for others'];
  const who = neutralise(number.name);
  const groups = number.number.split(' ');
  return [
    `Safety number of you and ${who}; their screen has to show the same (/verify with your name):`,
    `  ${groups.slice(0, ROW_GROUPS).join(' ')}`,
    `  ${groups.slice(ROW_GROUPS).join(' ')}`,
    stateText(number, who),
  ];
}

function stateText({ verified }: SafetyNumber, who: string): string {
  const next = `when you have compared it, by voice or face to face: /verify ${who} yes`;
  switch (verified) {
    case 'yes':
      return `${who} is verified`;
    case 'no':
      return `${who} is not verified; ${next}`;
    case 'changed':
      return `THE KEYS OF ${who} HAVE CHANGED since you compared; ${next}`;
    default:
      return verified satisfies never;
  }
}
