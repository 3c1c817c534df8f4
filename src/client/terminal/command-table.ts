/** The commands a person can type, as data: help, completion, parsing and running all read this one table. */
export const COMMANDS = {
  invite: {
    usage: '/invite NAME…',
    summary: 'invite people, also while they are offline',
    args: 'people',
  },
  remove: { usage: '/remove NAME…', summary: 'remove members from this group', args: 'members' },
  promote: { usage: '/promote NAME…', summary: 'make members administrators', args: 'members' },
  admin: { usage: '/admin NAME…', summary: 'the same as /promote', args: 'members' },
  demote: { usage: '/demote NAME…', summary: 'let them be members like any other', args: 'members' },
  policy: {
    usage: '/policy invite|join WHO',
    summary: 'who may invite: admins|members; join: invite|open',
    args: 'policy',
  },
  leave: { usage: '/leave', summary: 'leave this group', args: 'none' },
  list: {
    usage: '/list',
    summary: 'list the members, their devices, who is verified',
    args: 'none',
  },
  verify: {
    usage: '/verify NAME [yes]',
    summary: 'show the safety number; yes: it was compared',
    args: 'verify',
  },
  reply: {
    usage: '/reply [N|ID] TEXT',
    summary: 'reply to the last message here, or the Nth last',
    args: 'body',
  },
  edit: { usage: '/edit TEXT', summary: 'say your last message here otherwise', args: 'body' },
  delete: { usage: '/delete', summary: 'take back your last message here', args: 'none' },
  me: { usage: '/me TEXT', summary: 'say what you are doing', args: 'body' },
  topic: { usage: '/topic TEXT', summary: 'say what this group is about; members alone see it', args: 'body' },
  send: { usage: '/send FILE', summary: 'send a file, encrypted; also while you are offline', args: 'text' },
  save: {
    usage: '/save NUMBER [FILE]',
    summary: 'save a file that was sent here, as a new one',
    args: 'text',
  },
  history: {
    usage: '/history [N|TEXT]',
    summary: 'show the last lines, or those with a text',
    args: 'any',
  },
  export: {
    usage: '/export FILE',
    summary: "write this group's history to a file (.jsonl: JSON)",
    args: 'text',
  },
  pack: { usage: '/pack FILE', summary: 'all your messages, for another device of yours', args: 'text' },
  unpack: { usage: '/unpack FILE CODE', summary: 'take over what another device has packed', args: 'text' },
  receipts: {
    usage: '/receipts on|off',
    summary: 'tell what came and was read, and see it of others',
    args: 'switch',
  },
  mute: { usage: '/mute', summary: 'announce no news of this group', args: 'none' },
  unmute: { usage: '/unmute', summary: 'announce them again', args: 'none' },
  groups: { usage: '/groups', summary: 'list your groups, with how much is unread', args: 'none' },
  join: {
    usage: '/join NAME',
    summary: 'join by an invitation, or an open group',
    args: 'group',
  },
  create: {
    usage: '/create NAME [--private]',
    summary: 'make a group; --private: the server sees less of it',
    args: 'creation',
  },
  switch: { usage: '/switch NAME', summary: 'talk in another of your groups', args: 'group' },
  rotate: { usage: '/rotate', summary: 'renew your keys in this group', args: 'none' },
  whoami: { usage: '/whoami', summary: 'show your name, account and device', args: 'none' },
  rename: { usage: '/rename NAME', summary: 'take another user name', args: 'name' },
  devices: { usage: '/devices', summary: 'list the devices of your account', args: 'none' },
  link: { usage: '/link [CODE]', summary: 'add a device to your account', args: 'text' },
  revoke: { usage: '/revoke DEVICE', summary: 'end a device of your account', args: 'device' },
  status: { usage: '/status', summary: 'show connection, place and trust', args: 'none' },
  rejoin: { usage: '/rejoin', summary: 'join this group anew when it has stopped here', args: 'none' },
  help: { usage: '/help [COMMAND]', summary: 'show the commands, or one of them', args: 'command' },
  quit: { usage: '/quit', summary: 'leave the chat; unsent messages are kept', args: 'none' },
  exit: { usage: '/exit', summary: 'the same as /quit', args: 'none' },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export interface CommandSpec {
  readonly usage: string;
  readonly summary: string;
  readonly args:
    | 'none'
    | 'people'
    | 'members'
    | 'group'
    | 'policy'
    | 'creation'
    | 'name'
    | 'text'
    | 'any'
    | 'verify'
    | 'body'
    | 'command'
    | 'device'
    | 'switch';
}

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

const GREETING_COLUMNS = 78;

/** The names of the commands, many a row: what fits above a prompt. `/help` says what they do. */
export function commandRows(): string[] {
  const rows: string[] = [];
  for (const name of COMMAND_NAMES) {
    const last = rows.at(-1);
    if (last !== undefined && last.length + 2 + name.length <= GREETING_COLUMNS)
      rows[rows.length - 1] = `${last} /${name}`;
    else rows.push(`  /${name}`);
  }
  return [...rows, '  /help says what each of them does, Tab completes'];
}

/** The commands, one a row, none longer than a terminal is wide; or the one that is named, with or without its slash. */
export function helpRows(wanted?: string): string[] {
  const width = Math.max(...COMMAND_NAMES.map((name) => COMMANDS[name].usage.length));
  const rowOf = (name: CommandName) => `  ${COMMANDS[name].usage.padEnd(width)}  ${COMMANDS[name].summary}`;
  if (wanted !== undefined) {
    const name = COMMAND_NAMES.find((each) => each === wanted.replace(/^\//, '').toLowerCase());
    return [name === undefined ? `there is no command ${wanted}; /help shows them all` : rowOf(name)];
  }
  return [...COMMAND_NAMES.map(rowOf), `  ${'//text'.padEnd(width)}  a message that begins with a slash`];
}
