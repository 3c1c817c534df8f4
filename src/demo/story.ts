import { differences, type History } from './histories.ts';
import type { Narrator } from './narrator.ts';
import type { Stage } from './stage.ts';

/** carol's invitation, and keys renewed by alice, carol, and alice again. */
const COMMITS_MISSED = 4;

/**
 * The conversation the project is about: people who are away miss nothing. Every step is a real process against a real
 * server; each waits for what it must see.
 *
 * @throws when a step doesn't happen in time, or the histories differ at the end
 */
export async function playStory(stage: Stage, narrator: Narrator): Promise<void> {
  const { scene, tell, good } = narrator;
  const sent: string[] = [];
  const says = async (session: { types(line: string): void; reads(text: string): Promise<unknown> }, text: string) => {
    sent.push(text);
    session.types(text);
    await session.reads(text);
  };

  scene('A server starts.');
  const first = await stage.startServer();
  tell(first.greeting);

  scene('alice opens #tea. Nobody has that group yet, so she creates it and administers it.');
  const alice = stage.session('alice');
  await alice.hears(/^Connected to group: tea/);

  scene('bob and carol look in. There is no invitation for them; they are told whom to ask, and go away.');
  const visit = async (name: string) => {
    const { code, said } = await stage.look(name);
    expectThat(code === 1 && /Ask to be invited: alice/.test(said), `${name} was told: ${said}`);
    tell(`${name} is told to ask alice.`);
  };
  await Promise.all(['bob', 'carol'].map(visit));

  scene('alice invites bob, who is not there, and writes.');
  alice.types('/invite bob');
  tell(await alice.hears(/^bob is invited/));
  await says(alice, 'Good morning, bob!');
  await says(alice, 'The kettle is on.');

  scene('bob comes. The invitation waited for him, and so did everything written since.');
  let bob = stage.session('bob');
  await bob.reads('The kettle is on.');
  await says(bob, 'Good morning! Two sugars, please.');
  await alice.reads('Good morning! Two sugars, please.');

  scene('bob goes away. alice invites carol, renews her keys, and the two of them chat.');
  await bob.leaves();
  const lastOfBob = bob.lines().at(-1)?.cursor ?? 'start';
  alice.types('/invite carol');
  await alice.hears(/^carol is invited/);
  await says(alice, 'carol is joining us.');
  alice.types('/rotate');
  await alice.hears(/^your keys in #tea are renewed/);
  const carol = stage.session('carol');
  await carol.reads('carol is joining us.');
  await says(carol, 'Hello! I brought biscuits.');
  carol.types('/rotate');
  await carol.hears(/^your keys in #tea are renewed/);
  await says(alice, 'Which ones?');
  await carol.reads('Which ones?');

  scene('The server is killed (SIGKILL), in the middle of it all. alice writes anyway.');
  first.child.kill('SIGKILL');
  await first.child.ended();
  await alice.hears(/^offline: /);
  sent.push('Is anybody there?');
  alice.types('Is anybody there?');
  tell('Her message waits, encrypted, in her outbox.');

  scene('The server comes back. It has lost nothing, and her message goes out.');
  const second = await stage.startServer();
  tell(second.greeting);
  await alice.reads('Is anybody there?');
  await carol.reads('Is anybody there?');
  await says(carol, 'Yes. Oat biscuits.');
  await alice.reads('Yes. Oat biscuits.');
  alice.types('/rotate');
  await says(alice, 'Let us save some for bob.');
  await carol.reads('Let us save some for bob.');

  scene('bob comes back and catches up from his cursor, through every change of keys and members that he missed.');
  bob = stage.session('bob', lastOfBob);
  await bob.reads('Let us save some for bob.');
  const missed = bob.lines();
  const commits = missed.filter((line) => line.kind === 'membership').length;
  expectThat(commits >= COMMITS_MISSED, `bob caught up over ${commits} commits only`);
  good(`bob caught up: ${missed.length - commits} messages and ${commits} commits, in order.`);
  await says(bob, 'I smell oat biscuits.');
  await Promise.all([alice.reads('I smell oat biscuits.'), carol.reads('I smell oat biscuits.')]);

  scene('All leave. Now their three histories are compared.');
  await Promise.all([alice, bob, carol].map((session) => session.leaves()));
  const recall = async (name: string): Promise<History> => {
    const { code, lines, said } = await stage.look(name, 'start');
    expectThat(code === 0, `${name}'s mlschat ended with ${code}: ${said}`);
    return { name, lines };
  };
  const histories = await Promise.all(['alice', 'bob', 'carol'].map(recall));
  for (const { name, lines } of histories) {
    const messages = lines.filter((line) => line.kind === 'message').length;
    tell(`${name}: ${messages} messages and ${lines.length - messages} other entries.`);
  }
  const [ofAlice, ofBob] = histories.map(({ lines }) => lines.filter((line) => line.kind === 'message').length);
  expectThat(
    ofAlice === sent.length && ofBob === sent.length,
    `${sent.length} messages were sent, alice has ${ofAlice}, bob ${ofBob}`,
  );
  const wrong = differences(histories, sent);
  expectThat(wrong.length === 0, wrong.join('; '));
  good(`All ${sent.length} messages are there, each once, in the same order for everybody.`);

  second.child.kill('SIGTERM');
  expectThat((await second.child.ended()) === 0, 'the server did not stop cleanly');
  good('The server stopped cleanly.');
}

function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
