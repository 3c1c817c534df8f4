import { fromBase64Url } from '../../wire/bytes.ts';
import type { DeviceId, GroupId } from '../../wire/ids.ts';
import type { GroupState } from '../fold/group-state.ts';
import { deviceNumbers, groups, type LogStart, logStarts } from '../fold/rows.ts';
import type { Tables } from '../store/tables.ts';

/** The state of a group by its id in text. */
export function groupState(tables: Tables, id: GroupId): GroupState | undefined {
  const bytes = fromBase64Url(id);
  return bytes === undefined ? undefined : tables.get(groups, bytes);
}

/** The number of a device, if it was ever seen. */
export function deviceNumber(tables: Tables, device: DeviceId): number | undefined {
  return tables.get(deviceNumbers, device);
}

/** Where the kept entries of a group begin; `undefined` when all are kept. */
export function logStartOf(tables: Tables, group: number): LogStart | undefined {
  return tables.get(logStarts, group);
}

/** First position of a group that is kept. */
export function firstKept(tables: Tables, group: number): number {
  return logStartOf(tables, group)?.position ?? 1;
}
