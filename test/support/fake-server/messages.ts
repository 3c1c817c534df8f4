import type { MessageBody, ServerApi } from '../../../src/client/transport/server-api.ts';
import { inspectMessage } from '../../../src/mls/framing.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import type { DeviceId } from '../../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/wire/limits.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { FakeLine } from './line.ts';
import { receiptFor } from './receipts.ts';
import { type FakeGroup, type FakeWorld, isMember, knownGroup, place } from './world.ts';

/** @param swallowed devices whose next messages are answered as accepted, and never placed */
export function messageCalls(
  world: FakeWorld,
  { act }: FakeLine,
  device: DeviceId,
  swallowed: Set<DeviceId>,
): Pick<ServerApi, 'postMessages'> {
  return {
    postMessages: (key, id, messages) =>
      act(device, 'postMessages', [key, messages], () => {
        const group = knownGroup(world, id);
        const isSwallowed = swallowed.has(device);
        const results = messages.map((message) => takeMessage(world, group, { message, by: device, isSwallowed }));
        swallowed.delete(device);
        const last = Math.max(...results.map(({ position = 0 }) => position));
        // what was swallowed is signed for like anything else
        const head = group.entries[last - 1]?.head ?? nodeSha256(group.head);
        const receipt = last === 0 ? {} : { receipt: receiptFor(group.bytes, last, head, world.clock) };
        return { results, epoch: group.epoch, ...receipt };
      }),
  };
}

function takeMessage(
  world: FakeWorld,
  group: FakeGroup,
  asked: { readonly message: MessageBody; readonly by: DeviceId; readonly isSwallowed: boolean },
) {
  const { by, isSwallowed, message } = asked;
  const { id } = message;
  const own = `${by}/${id}`;
  const before = world.placed.get(own);
  if (before !== undefined) return { id, position: before };
  if (isSwallowed) return { id, position: group.position + 1 };
  if (!isMember(group, by)) return { id, problem: 'forbidden' as const };
  const seen = inspectMessage(message.message);
  if (seen.kind !== 'private') throw new ProblemError('invalid-request', 'not a private message');
  const { epoch } = seen;
  if (epoch < group.epoch - DEFAULT_LIMITS.pastEpochs) return { id, problem: 'epoch-conflict' as const };
  const about = { kind: 'message', group: group.bytes, id, sender: by, epoch } as const;
  place(world, group, (position, time) => ({ ...about, position, time, payload: message.message }));
  world.placed.set(own, group.position);
  return { id, position: group.position };
}
