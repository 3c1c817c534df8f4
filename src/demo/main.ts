import { createNarrator } from './narrator.ts';
import { openStage } from './stage.ts';
import { playStory } from './story.ts';

/** Plays the demonstration. Resolves with the exit code: 0 when everything held, 1 with a sentence, 130 when interrupted. */
export async function runDemo(): Promise<number> {
  const narrator = createNarrator(process.stdout, process.env);
  const ending = new AbortController();
  const interrupt = () => ending.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  const start = performance.now();
  try {
    await using stage = await openStage(narrator, ending.signal);
    await playStory(stage, narrator);
    narrator.good(`Done in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
    return 0;
  } catch (error) {
    narrator.bad(error instanceof Error ? error.message : String(error));
    return ending.signal.aborted ? 130 : 1;
  }
}
