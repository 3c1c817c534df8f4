import type { ServerApi } from '../../src/client/transport/server-api.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import type { ClientId } from '../../src/wire/ids.ts';
import { decodePage } from '../../src/wire/page.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import type { Caller, Exchange } from './client-network.ts';

/** The server as a client sees it, over the simulated network: bodies and answers cross it as CBOR. */
export function createSimulatedApi(caller: Caller): ServerApi {
  const ask = async <Value>(exchange: Exchange): Promise<Value> => decodeCbor(await caller.exchange(exchange)) as Value;
  const find = async <Value>(exchange: Exchange): Promise<Value | undefined> => {
    try {
      return await ask<Value>(exchange);
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'not-found') return undefined;
      throw error;
    }
  };
  const post = <Value>(operation: string, key: ClientId | undefined, body: unknown, group?: string): Promise<Value> =>
    ask<Value>({
      operation,
      body: encodeCbor(body),
      ...(key === undefined ? {} : { key }),
      ...(group === undefined ? {} : { params: { group } }),
    });

  return {
    serverInfo: () => ask({ operation: 'serverInfo' }),
    register: (key, body) => post('registerAccount', key, body),
    renameAccount: (key, body) => post('renameAccount', key, body),
    addDevice: (key, body) => post('addDevice', key, body),
    recoverAccount: (key, id, body) =>
      ask({ operation: 'recoverAccount', key, params: { id }, body: encodeCbor(body) }),
    // offers are beside the log too: devices here are linked by the long code
    putDeviceOffer: () => Promise.reject(new ProblemError('not-ready', 'no offers are kept here')),
    deviceOffer: async () => undefined,
    revokeDevice: (key, id, body) => ask({ operation: 'revokeDevice', key, params: { id }, body: encodeCbor(body) }),
    accountGroups: () => ask({ operation: 'listGroups', query: { of: 'account' } }),
    accountByName: (name) => find({ operation: 'lookUpAccount', query: { name } }),
    account: (id, newest) => {
      const query = newest === undefined ? {} : { query: { newest: 'true' } };
      return find({ operation: 'getAccount', params: { id }, ...query });
    },
    stock: () => ask({ operation: 'getKeyPackages' }),
    publishKeyPackages: (key, keyPackages) => post('publishKeyPackages', key, { keyPackages }),
    claimKeyPackages: (key, group, accounts) => post('claimKeyPackages', key, { group, accounts }),
    createGroup: (key, body) => post('createGroup', key, body),
    groupsByName: (name) => ask({ operation: 'listGroups', query: { name } }),
    postCommit: (key, id, body) => post('postCommit', key, body, id),
    postProposal: (key, id, proposal) => post('postProposal', key, { proposal }, id),
    postMessages: (key, id, messages) => post('postMessages', key, { messages }, id),
    postReport: (group, report) => post('postReport', undefined, report, group),
    // files are beside the log, and not part of this model
    putBlob: () => Promise.reject(new Error('nobody sends files here')),
    blob: async () => undefined,
    tree: (group, epoch) => ask({ operation: 'getTree', params: { group }, query: { epoch: String(epoch) } }),
    groupInfo: (group) => ask({ operation: 'getGroupInfo', params: { group } }),
    endOf: async (group) => (await find<{ position: number }>({ operation: 'getGroup', params: { group } }))?.position,
    headAt: async (group, position) => {
      const query = { after: String(position - 1), limit: '1', newest: 'true' };
      const page = await find<{ position: number; head: Uint8Array }>({
        operation: 'getGroupLog',
        params: { group },
        query,
      });
      return page?.position === position ? page.head : undefined;
    },
    syncPage: async (cursor, limit) =>
      decodePage(await caller.exchange({ operation: 'sync', query: { cursor, limit: String(limit) } })),
    syncStream: (cursor, signal) => caller.stream(cursor, signal),
    close: async () => {},
  };
}
