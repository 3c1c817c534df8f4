// The thread's entry when the program runs from its TypeScript sources: tsx has to be told in each thread.
import { register } from 'tsx/esm/api';

register();
await import('./signature-worker.ts');
