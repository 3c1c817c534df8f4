import { encodeCbor } from '../../wire/cbor.ts';
import { NO_MARKS } from '../engine/marks.ts';
import { step } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import { keys } from '../store/keys.ts';
import type { ChatState } from './chat-state.ts';
import type { Serial } from './serial.ts';

/** Whether this device tells others what came and was read. Off until it is asked for. */
export interface ReceiptsSetting {
  readonly on: boolean;
  set(on: boolean, world: { readonly state: ChatState; readonly serial: Serial }): Promise<void>;
}

export async function loadReceiptsSetting(store: ClientStore): Promise<ReceiptsSetting> {
  let on = (await store.get(keys.receiptsOn())) !== undefined;
  return {
    get on() {
      return on;
    },
    set: (wanted, { state, serial }) =>
      serial.run(async () => {
        const batch = state.begin();
        batch.write({ key: keys.receiptsOn(), value: wanted ? encodeCbor(true) : undefined });
        for (const group of state.groups.values()) {
          const { marks, ...rest } = group;
          // whoever does not tell is told nothing: what was known is forgotten
          if (!wanted && marks !== undefined) batch.take(step(rest));
          if (wanted && marks === undefined) batch.take(step({ ...rest, marks: NO_MARKS }));
        }
        await batch.commit();
        on = wanted;
      }),
  };
}
