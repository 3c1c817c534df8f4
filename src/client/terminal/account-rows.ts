import type { ChatClient, DeviceStatus, Done } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

/** Characters of a device id that tell it from the others of an account. */
const ID_SHOWN_CHARACTERS = 8;

/** Groups of a code in one row: it fits into 80 columns and is not cut inside a group. */
const GROUPS_A_ROW = 8;

function codeRows(code: string): string[] {
  const groups = code.split('-');
  const rows = Array.from({ length: Math.ceil(groups.length / GROUPS_A_ROW) }, (_, i) =>
    groups.slice(i * GROUPS_A_ROW, (i + 1) * GROUPS_A_ROW).join('-'),
  );
  return rows.map((row, i) => `  ${row}${i < rows.length - 1 ? '-' : ''}`);
}

/** Said once, at the first start: nobody can ask for it again. */
export function recoveryRows(code: string): string[] {
  return [
    'Your recovery code, shown only now. Write it down and keep it where this computer is not:',
    ...codeRows(code),
    'With it, and with nothing else, "mlschat recover" gets your account back when all your devices are lost.',
  ];
}

/** Who one is here: name, account, device and server. */
export async function whoamiRows(client: Pick<ChatClient, 'status' | 'devices'>): Promise<readonly string[]> {
  const [{ me, server }, devices] = await Promise.all([client.status(), client.devices()]);
  const label = devices.find((each) => each.me)?.label;
  return [
    `you are ${neutralise(me.name)} on ${neutralise(server)}`,
    `account ${me.account}`,
    `device ${me.device}${label === undefined ? '' : ` "${neutralise(label)}"`}`,
  ];
}

/** Runs a command about the own account and gives the rows that say what came of it. */
export async function accountCommandRows(
  name: 'rename' | 'devices' | 'revoke' | 'link',
  args: readonly string[],
  client: ChatClient,
): Promise<readonly string[]> {
  const text = args.join(' ');
  const shown = neutralise(text);
  switch (name) {
    case 'rename':
      return [done(await client.rename(text), `you are ${shown} now`)];
    case 'devices':
      return (await client.devices()).map(deviceRow);
    case 'revoke':
      return [done(await client.revoke(text), `your device "${shown}" is revoked; it leaves your groups by itself`)];
    case 'link':
      if (text === '') return linkRows(await client.status());
      return [done(await client.link(text), 'the new device belongs to your account; it joins your groups by itself')];
    default:
      return name satisfies never;
  }
}

function linkRows({ me }: Awaited<ReturnType<ChatClient['status']>>): string[] {
  return [
    'On the new device run this; it shows a code:',
    `  mlschat link ${me.account}`,
    'Then type it here: /link CODE',
  ];
}

function deviceRow({ device, label, me, revoked }: DeviceStatus): string {
  const state = me ? ', this one' : revoked ? ', revoked' : '';
  return `${me ? '*' : ' '} "${neutralise(label)}"  ${device.slice(0, ID_SHOWN_CHARACTERS)}${state}`;
}

function done(outcome: Done, text: string): string {
  return outcome.kind === 'done' ? text : `not done: ${neutralise(outcome.reason)}`;
}
