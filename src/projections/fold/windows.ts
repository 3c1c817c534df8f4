import type { DeviceId } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { type GroupHead, type Window, windows } from './rows.ts';

/**
 * Visibility (D11): a device reads a group from the entry that let it in up to and including the entry that took it
 * out. Whoever comes back gets a new window; what lies between the two stays unseen.
 */
export function openWindow(draft: Draft, group: number, device: DeviceId, at: GroupHead): void {
  const key = { device: draft.deviceNo(device), group };
  const before = draft.get(windows, key) ?? [];
  const window: Window = { from: at.position, openedSequence: at.sequence, openedIndex: at.index };
  draft.put(windows, key, [...before, window]);
  draft.touchedDevices.add(device);
}

/** Nothing after `at` is visible any more; without effect when no window is open. */
export function closeWindow(draft: Draft, group: number, device: DeviceId, at: GroupHead): void {
  const key = { device: draft.deviceNo(device), group };
  const before = draft.get(windows, key) ?? [];
  const last = before.at(-1);
  if (last === undefined || last.to !== undefined) return;
  const closed: Window = { ...last, to: at.position, closedSequence: at.sequence, closedIndex: at.index };
  draft.put(windows, key, [...before.slice(0, -1), closed]);
  draft.touchedDevices.add(device);
}
