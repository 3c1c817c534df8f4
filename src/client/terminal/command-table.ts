/** The commands a person can type, as data: help, completion, parsing and running all read this one table. */
export const COMMANDS = {
  invite: {
    usage: '/invite NAME…',
    summary: 'invite people to this group, also while they are offline',
    args: 'people',
  },
  remove: { usage: '/remove NAME…', summary: 'remove members from this group', args: 'members' },
  promote: { usage: '/promote NAME…', summary: 'make members administrators', args: 'members' },
  demote: { usage: '/demote NAME…', summary: 'let them be members like any other', args: 'members' },
  policy: { usage: '/policy invite admins|members', summary: 'say who may invite', args: 'policy' },
  leave: { usage: '/leave', summary: 'leave this group', args: 'none' },
  list: { usage: '/list', summary: 'list the members of this group', args: 'none' },
  groups: { usage: '/groups', summary: 'list your groups, with how much is unread', args: 'none' },
  create: {
    usage: '/create NAME [--private]',
    summary: 'make a new group; --private hides from the server what its members do to it',
    args: 'creation',
  },
  switch: { usage: '/switch NAME', summary: 'talk in another of your groups', args: 'group' },
  rotate: { usage: '/rotate', summary: 'renew your keys in this group', args: 'none' },
  rename: { usage: '/rename NAME', summary: 'take another user name', args: 'name' },
  devices: { usage: '/devices', summary: 'list the devices of your account', args: 'none' },
  link: { usage: '/link [CODE]', summary: 'add a device to your account', args: 'text' },
  revoke: { usage: '/revoke DEVICE', summary: 'end a device of your account', args: 'text' },
  rejoin: { usage: '/rejoin', summary: 'join this group anew when it has stopped here', args: 'none' },
  help: { usage: '/help', summary: 'show the commands', args: 'none' },
  quit: { usage: '/quit', summary: 'leave the chat; unsent messages are kept', args: 'none' },
  exit: { usage: '/exit', summary: 'the same as /quit', args: 'none' },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export interface CommandSpec {
  readonly usage: string;
  readonly summary: string;
  readonly args: 'none' | 'people' | 'members' | 'group' | 'policy' | 'creation' | 'name' | 'text';
}

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

const GREETING_COLUMNS = 78;

/** The commands as they are typed, several a row: what fits above a prompt. */
export function commandRows(): string[] {
  const rows: string[] = [];
  for (const name of COMMAND_NAMES) {
    const last = rows.at(-1);
    const { usage } = COMMANDS[name];
    if (last !== undefined && last.length + 2 + usage.length <= GREETING_COLUMNS)
      rows[rows.length - 1] = `${last}  ${usage}`;
    else rows.push(`  ${usage}`);
  }
  return rows;
}

/** The commands, one a row. */
export function helpRows(): string[] {
  const width = Math.max(...COMMAND_NAMES.map((name) => COMMANDS[name].usage.length));
  return [
    ...COMMAND_NAMES.map((name) => `  ${COMMANDS[name].usage.padEnd(width)}  ${COMMANDS[name].summary}`),
    `  ${'//text'.padEnd(width)}  a message that begins with a slash`,
  ];
}
