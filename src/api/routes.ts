import { accountRoutes } from './resources/accounts.ts';
import { blobRoutes } from './resources/blobs.ts';
import { claimRoutes } from './resources/claims.ts';
import { commitRoutes } from './resources/commits.ts';
import { deviceOfferRoutes } from './resources/device-offers.ts';
import { deviceRoutes } from './resources/devices.ts';
import { groupLogRoutes } from './resources/group-log.ts';
import { groupRoutes } from './resources/groups.ts';
import { keyPackageRoutes } from './resources/key-packages.ts';
import { messageRoutes } from './resources/messages.ts';
import { proposalRoutes } from './resources/proposals.ts';
import { reportRoutes } from './resources/reports.ts';
import { serverRoutes } from './resources/server.ts';
import { sessionRoutes } from './resources/sessions.ts';
import { syncRoutes } from './resources/sync.ts';
import type { Route } from './route.ts';

/** Every route of the server: router and OpenAPI document are made from this table. */
export const ROUTES: readonly Route[] = [
  ...accountRoutes,
  ...deviceRoutes,
  ...deviceOfferRoutes,
  ...sessionRoutes,
  ...keyPackageRoutes,
  ...claimRoutes,
  ...groupRoutes,
  ...commitRoutes,
  ...proposalRoutes,
  ...messageRoutes,
  ...reportRoutes,
  ...blobRoutes,
  ...groupLogRoutes,
  ...syncRoutes,
  ...serverRoutes,
];
