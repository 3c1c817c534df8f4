import { expect, test } from 'vitest';
import { createDirectory } from '../../../src/client/engine/directory.ts';
import { overreachTexts } from '../../../src/client/engine/opaque.ts';
import { parseIdentity } from '../../../src/mls/identity.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { receive } from '../../../src/mls/session/receive.ts';
import type { GroupState } from '../../../src/mls/session/state.ts';
import { forgedProposal, founded, NOW, removalOf, suite } from '../../mls/support/private.ts';

const NAMES = ['ann', 'ben', 'cem', 'dan', 'eve'] as const;

async function taken(state: GroupState, bytes: Uint8Array) {
  const received = await receive(suite, state, bytes);
  if (received.kind !== 'proposal' && received.kind !== 'commit') throw new Error(received.kind);
  return received;
}

test('a member that committed what another one proposed without being allowed to is not told of as the one who did it', async () => {
  const { people, states } = await founded(NAMES, 'public');
  const [ann, ben, cem] = states as [GroupState, GroupState, GroupState];
  const directory = createDirectory('chat.example');
  for (const [i, { identity }] of people.entries()) {
    directory.put({ id: parseIdentity(identity)!.account, name: NAMES[i]!, devices: [], statements: [] });
  }
  const forged = await forgedProposal(ben, removalOf(3));
  const heard = (await taken(cem, forged.proposal)).state;
  const made = async (remove: readonly number[]): Promise<readonly string[]> => {
    const { commit } = await createCommit(suite, heard, { remove, inlineTree: true, groupInfoTree: true, now: NOW });
    const received = await taken((await taken(ann, forged.proposal)).state, commit);
    if (received.kind !== 'commit') throw new Error(received.kind);
    return overreachTexts({ directory }, 'cem', received.overreach);
  };
  const bens = 'ben proposed what its role does not allow, and cem committed it: removed dan';
  expect(await made([])).toEqual([bens]);
  // what it did by itself is told of apart
  expect((await made([4])).toSorted()).toEqual([bens, 'cem did what its role does not allow: removed eve']);
});
