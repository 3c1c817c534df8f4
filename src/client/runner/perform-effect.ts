import { type ClientId, type GroupId, newClientId } from '../../wire/ids.ts';
import { accountsToAsk, membersAsked } from '../engine/account-entry.ts';
import { prepareCommit } from '../engine/commits.ts';
import { addIntention, heirWish } from '../engine/intentions.ts';
import { endAlone, heirToName, proposeLeave } from '../engine/leave.ts';
import { sealTexts, shareTopic, tellMarks } from '../engine/outbox.ts';
import { passOverRemoval } from '../engine/passed-over.ts';
import { step } from '../engine/types.ts';
import { createUploader } from './attachments.ts';
import { commitDelayMs } from './commit-delay.ts';
import type { PerformEffect } from './effect-runner.ts';
import { createEffectTools, type EffectWorld } from './effect-world.ts';
import { createMemberLookups } from './member-lookups.ts';
import { createPostEffects } from './post-effects.ts';
import { Aborted } from './retry.ts';
import { createWayBackEffects } from './way-back-effects.ts';

/** What comes and is read within this time is told in one message. */
const MARKS_BATCH_MS = 10_000;

/** The one place where what the engine asks for meets the network: each effect, and what it waits for before its step is taken. */
export function createPerformEffect(world: EffectWorld): PerformEffect {
  const tools = createEffectTools(world);
  const { env, state, caughtUp, random, update, turn } = tools;
  const post = createPostEffects(tools);
  const wayBack = createWayBackEffects(tools);
  const upload = createUploader(world);
  const lookups = createMemberLookups(world);

  /** The place of a text that nobody typed. */
  const newText = (): { readonly localId: ClientId; readonly ordinal: number } => ({
    localId: newClientId(env.now(), env.randomBytes),
    ordinal: state.nextOutboxOrdinal(),
  });

  /** Whoever was let in has not read what the accounts of the others went through before. */
  const askMembers = async (id: GroupId, position: number, signal: AbortSignal): Promise<void> => {
    const group = state.groups.get(id);
    if (group === undefined) return;
    await lookups.ask(accountsToAsk(env, group), { group: id, signal });
    await update(id, (present) => membersAsked(env, present, position));
  };

  return async (id, effect, signal) => {
    switch (effect.kind) {
      case 'create-group':
        return post.createGroup(id, signal);
      case 'post-commit':
        return post.postCommit(id, signal);
      case 'post-messages':
        return post.postMessages(id, effect, signal);
      case 'post-proposal':
        return post.postProposal(id, effect, signal);
      case 'upload':
        return upload(id, effect.localId, signal);
      case 'rejoin':
        return wayBack.rejoin(id, effect, signal);
      case 'report':
        return wayBack.report(id, signal);
      case 'recover':
        return wayBack.recover(id, effect.attempts, signal);
      case 'tell-marks':
        await turn(id, signal, () => MARKS_BATCH_MS);
        await update(id, (group) => tellMarks(env, group, newText()));
        return;
      case 'share-topic':
        await update(id, (group) => shareTopic(env, group, newText()));
        return;
      case 'seal':
        await turn(id, signal);
        await update(id, (group) => sealTexts(env, group, { reseal: false }));
        return;
      case 'reseal':
        // only what is certainly not in the log may be encrypted a second time
        await caughtUp(signal, id);
        await update(id, (group) => sealTexts(env, group, { reseal: true }));
        return;
      case 'commit':
        await turn(id, signal, () => commitDelayMs(effect, random));
        await update(id, (group) => prepareCommit(env, group));
        return;
      case 'propose-leave':
        await turn(id, signal);
        await update(id, (group) => proposeLeave(env, group));
        return;
      case 'name-heir':
        await turn(id, signal);
        await update(id, (group) => {
          // who was to stay may have asked to go meanwhile
          if (heirToName(group) !== effect.heir) return step(group);
          return addIntention(group, heirWish(effect.key), { kind: 'roles', appoint: [effect.heir], dismiss: [] });
        });
        return;
      case 'end-alone':
        // somebody may have joined from outside, and can let us out
        await caughtUp(signal, id);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => endAlone(env, group));
        return;
      case 'ask-members':
        await turn(id, signal);
        return askMembers(id, effect.position, signal);
      case 'expel':
        await turn(id, signal, () => effect.delayMs);
        await update(id, (group) =>
          addIntention(group, `expel-${effect.key}`, { kind: 'expel', devices: effect.devices }),
        );
        return;
      case 'commit-proposals':
        await turn(id, signal, () => effect.delayMs);
        await update(id, (group) => addIntention(group, `proposals-${effect.key}`, { kind: 'commit-proposals' }));
        return;
      case 'pass-over-removal':
        await turn(id, signal, () => effect.delayMs);
        await update(id, (group) => passOverRemoval(env, group));
        return;
    }
  };
}
