import type { AccountId } from '../../wire/ids.ts';
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

/** On the new device: what is to be typed on one that belongs to the account already. */
export function offerRows(code: string): string[] {
  return [
    'On a device that you use already, type this:',
    '',
    `    /link ${code}`,
    '',
    'Nobody but a device of your account can do anything with it. Waiting…',
  ];
}

/** On the new device, once it belongs to the account. */
export function addedRow(name: string, account: AccountId): string {
  return `This is a device of ${neutralise(name)} now (account ${account}).`;
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
      return addDeviceRows(text, client);
    default:
      return name satisfies never;
  }
}

/** What is added stands before the outcome, whatever that is. */
async function addDeviceRows(code: string, client: ChatClient): Promise<readonly string[]> {
  const offer = await client.readOffer(code);
  if (offer.kind === 'refused') return [done(offer, '')];
  const shown = `"${neutralise(offer.label)}" (${offer.device.slice(0, ID_SHOWN_CHARACTERS)})`;
  const outcome = await client.link(code);
  if (outcome.kind === 'refused') return [`the new device ${shown} was ${done(outcome, '')}`];
  return [
    `the new device ${shown} belongs to your account; it joins your groups by itself`,
    `if it is not yours: /revoke ${offer.device.slice(0, ID_SHOWN_CHARACTERS)}`,
  ];
}

function linkRows({ me, server }: Awaited<ReturnType<ChatClient['status']>>): string[] {
  return [
    'On the new device run this; it shows a code:',
    `  mlschat link ${me.account} --server ${server}`,
    'Then type it here: /link CODE. Only a code that your own new device shows: whoever it belongs to reads and writes as you.',
  ];
}

function deviceRow({ device, label, me, revoked }: DeviceStatus): string {
  const state = me ? ', this one' : revoked ? ', revoked' : '';
  return `${me ? '*' : ' '} "${neutralise(label)}"  ${device.slice(0, ID_SHOWN_CHARACTERS)}${state}`;
}

function done(outcome: Done, text: string): string {
  return outcome.kind === 'done' ? text : `not done: ${neutralise(outcome.reason)}`;
}

/** What names each other device that could be ended: its label where that is one word of its own, else its id. */
export function deviceNames(devices: readonly DeviceStatus[]): string[] {
  const others = devices.filter(({ me, revoked }) => !me && !revoked);
  return others.map(({ device, label }) => {
    const alone = devices.filter((each) => each.label === label && !each.revoked).length === 1;
    return alone && /^[\w.-]+$/.test(label) ? label : device.slice(0, ID_SHOWN_CHARACTERS);
  });
}
