import { TransportError } from '../../../src/client/transport/server-api.ts';
import type { DeviceId } from '../../../src/wire/ids.ts';
import type { FakeWorld } from './world.ts';

/** Looks at a call before it takes effect; may throw. */
export type Intercept = (device: DeviceId, method: string, args: readonly unknown[]) => void;

/** What is between devices and the model: it counts calls, and can be told to lose them or their answers. */
export interface FakeLine {
  /** Calls made, by method name. */
  readonly calls: readonly string[];
  /** While set, nothing of this device (or, without one, of anybody) arrives. */
  cut(device?: DeviceId): () => void;
  isCut(device: DeviceId): boolean;
  /** The next such call of the device takes effect, but its answer is lost. */
  loseAnswer(device: DeviceId, method: string): void;
  /** One call of a device. */
  act<Value>(device: DeviceId, method: string, args: readonly unknown[], run: () => Value): Promise<Value>;
  /** The same for what takes effect once under its key: again it gets its first answer. */
  once<Value>(device: DeviceId, method: string, key: string, body: unknown, run: () => Value): Promise<Value>;
}

export function createLine(
  { answers }: FakeWorld,
  hands: { readonly intercept: Intercept | undefined; readonly onCut: () => void },
): FakeLine {
  const calls: string[] = [];
  const lost: string[] = [];
  const cuts = new Set<DeviceId | 'all'>();

  const isCut = (device: DeviceId): boolean => cuts.has(device) || cuts.has('all');
  const act: FakeLine['act'] = async (device, method, args, run) => {
    await Promise.resolve();
    calls.push(method);
    if (isCut(device)) throw new TransportError('unreachable', 'the network is cut');
    hands.intercept?.(device, method, args);
    const value = run();
    const losing = lost.indexOf(`${device}/${method}`);
    if (losing === -1) return value;
    lost.splice(losing, 1);
    throw new TransportError('unreachable', 'the answer was lost');
  };
  return {
    calls,
    isCut,
    act,
    cut(device) {
      const which = device ?? 'all';
      cuts.add(which);
      hands.onCut();
      return () => void cuts.delete(which);
    },
    loseAnswer: (device, method) => void lost.push(`${device}/${method}`),
    once: <Value>(device: DeviceId, method: string, key: string, body: unknown, run: () => Value) =>
      act(device, method, [key, body], () => {
        const id = `${device}/${key}`;
        if (!answers.has(id)) answers.set(id, run());
        return answers.get(id) as Value;
      }),
  };
}
