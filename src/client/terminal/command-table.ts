/** The commands a person can type, as data: help, completion, parsing and running all read this one table. */
export const COMMANDS = {
  invite: {
    usage: '/invite NAME…',
    summary: 'invite people to this group, also while they are offline',
    args: 'people',
  },
  remove: { usage: '/remove NAME…', summary: 'remove members from this group', args: 'members' },
  leave: { usage: '/leave', summary: 'leave this group', args: 'none' },
  list: { usage: '/list', summary: 'list the members of this group', args: 'none' },
  groups: { usage: '/groups', summary: 'list your groups, with how much is unread', args: 'none' },
  switch: { usage: '/switch NAME', summary: 'talk in another of your groups', args: 'group' },
  rotate: { usage: '/rotate', summary: 'renew your keys in this group', args: 'none' },
  rejoin: { usage: '/rejoin', summary: 'join this group anew when it has stopped here', args: 'none' },
  help: { usage: '/help', summary: 'show the commands', args: 'none' },
  quit: { usage: '/quit', summary: 'leave the chat; unsent messages are kept', args: 'none' },
  exit: { usage: '/exit', summary: 'the same as /quit', args: 'none' },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export interface CommandSpec {
  readonly usage: string;
  readonly summary: string;
  readonly args: 'none' | 'people' | 'members' | 'group';
}

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

/** The commands, one a row. */
export function helpRows(): string[] {
  const width = Math.max(...COMMAND_NAMES.map((name) => COMMANDS[name].usage.length));
  return [
    ...COMMAND_NAMES.map((name) => `  ${COMMANDS[name].usage.padEnd(width)}  ${COMMANDS[name].summary}`),
    `  ${'//text'.padEnd(width)}  a message that begins with a slash`,
  ];
}
