// A process that holds a log open until it is killed. Argument: the folder. Prints the server's pid when it is ready.
import { openLog } from '../../src/log/open-log.ts';

const log = await openLog({ place: { folder: process.argv[2]! }, domain: 'test.example', tablesEmpty: true });
console.log(`server ${log.serverPid}`);
