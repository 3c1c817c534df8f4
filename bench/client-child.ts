/** A client in a process of its own, over a store that is there: prints what it took to get to its prompt. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openChatClient } from '../src/client/open-chat-client.ts';

/** Nothing listens there: what is measured is what a client has and can do by itself. */
const NOWHERE = 'http://127.0.0.1:9';
const SHOWN_LINES = 50;

const options = { dir: process.argv[2]!, server: NOWHERE, userName: 'bob', inProcess: true };
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let client = await openChatClient(options);
collect();
collect();
const memoryMb = process.memoryUsage().rss / 2 ** 20;
await client.close();

// the second time: compiling what was just loaded is not what is measured
const before = process.cpuUsage();
client = await openChatClient(options);
const groups = await client.groups();
await client.recent(groups[0]!.group, SHOWN_LINES);
const { user, system } = process.cpuUsage(before);
const promptMs = (user + system) / 1_000;
await client.close();
console.log(JSON.stringify({ promptMs, memoryMb, groups: groups.length }));
