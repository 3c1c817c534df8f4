/** The longest a test waits for what it expects; only a failing test takes that long. */
const UNTIL_MAX_MS = 240_000;
const LOOK_EVERY_MS = 10;

/** Looks again and again until `look` gives something; fails with what `describe` tells when it doesn't in time. */
export async function until<Seen>(
  look: () => Seen | undefined | false | Promise<Seen | undefined | false>,
  describe: () => string = () => '',
  maxMs = UNTIL_MAX_MS,
): Promise<Seen> {
  const end = Date.now() + maxMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`not seen within ${maxMs} ms: ${look.toString()}\n${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
