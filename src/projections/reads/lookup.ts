import { fromBase64Url } from '../../wire/bytes.ts';
import type { DeviceId, GroupId } from '../../wire/ids.ts';
import type { GroupState } from '../fold/group-state.ts';
import { deviceNumbers, groups } from '../fold/rows.ts';
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
