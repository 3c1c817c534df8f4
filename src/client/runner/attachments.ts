import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import { type ClientId, type GroupId, newClientId } from '../../wire/ids.ts';
import { DEFAULT_LIMITS } from '../../wire/limits.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { ChatClient, FetchedFile } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { type Attachment, queueUpload, type UploadAnswer, uploadAnswered } from '../engine/attachment.ts';
import { safeFileName } from '../engine/file-name.ts';
import type { EngineEnv, Group } from '../engine/types.ts';
import { readAttachment } from '../store/attachment-rows.ts';
import type { ClientStore } from '../store/client-store.ts';
import { keys, rangeOf } from '../store/keys.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import { asClientError, reasonOf } from './failures.ts';
import { pause, untilAnswered } from './retry.ts';
import { checkMember, groupIn } from './send-command.ts';
import type { Serial } from './serial.ts';

const AES_GCM = 'AES-GCM';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The largest file; a server may take less, and says so when it is uploaded. */
const FILE_MAX_BYTES = DEFAULT_LIMITS.attachmentMaxBytes - TAG_BYTES;

interface AttachmentWorld {
  readonly env: EngineEnv;
  readonly api: ServerApi;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
}

/**
 * Stores a file encrypted under a key of its own, to be uploaded now or when the server is there again; and fetches one,
 * which is given out only when it is what its sender has sent.
 */
export function createFileCommands(world: AttachmentWorld): Pick<ChatClient, 'sendFile' | 'fetchFile'> {
  const { env, api, store, state, serial } = world;
  return {
    sendFile: async (id, { name, mediaType, bytes }) => {
      const group = groupIn(state.groups.get(id));
      checkMember(group);
      if (bytes.length > FILE_MAX_BYTES)
        throw new ClientError('refused', `a file has at most ${FILE_MAX_BYTES} bytes, this one has ${bytes.length}`);
      const { sealed, key, nonce } = await sealFile(env, bytes);
      const hash = env.sha256(sealed);
      const attachment: Attachment = {
        ...{ name: safeFileName(name), mediaType, size: bytes.length, key, nonce, hash },
        expires: 0, // known when the server has it
      };
      const localId = newClientId(env.now(), env.randomBytes);
      await serial.run(async () => {
        const batch = state.begin();
        const present = groupIn(batch.group(id));
        // encrypting took its time
        checkMember(present);
        batch.take(queueUpload(present, { localId, time: env.now(), attachment }));
        batch.write({ key: keys.upload(group.bytes, localId), value: sealed });
        await batch.commit();
      });
      await store.durable();
      return { id: localId };
    },
    fetchFile: async (id, position) => {
      const group = groupIn(state.groups.get(id));
      const attachment = await readAttachment(store, group.bytes, position);
      if (attachment === undefined) return refused(`there is no file ${position} in this group`);
      const sealed = await api.blob(id, toBase64Url(attachment.hash)).catch((error: unknown) => {
        throw asClientError(error, 'fetching the file');
      });
      if (sealed === undefined) return refused(`${attachment.name} is no longer on the server`);
      if (!equalBytes(env.sha256(sealed), attachment.hash))
        return refused(`the server gave other bytes than ${attachment.name} was sent with; nothing of them is kept`);
      const bytes = await openFile(attachment, sealed);
      if (bytes?.length !== attachment.size)
        return refused(`${attachment.name} was not encrypted as its sender says, and cannot be opened`);
      return { kind: 'done', name: attachment.name, mediaType: attachment.mediaType, bytes };
    },
  };
}

/** Uploads one file and queues its message, in one transaction with the end of its encrypted copy here. */
export function createUploader(
  world: AttachmentWorld & { readonly random: () => number },
): (group: GroupId, localId: ClientId, signal: AbortSignal) => Promise<void> {
  const { env, api, store, state, serial, random } = world;
  return async (id, localId, signal) => {
    const waiting = await serial.run(async () => {
      const group = state.groups.get(id);
      const upload = group?.uploads?.find((each) => each.localId === localId);
      if (group === undefined || upload === undefined) return undefined;
      return { upload, sealed: (await store.get(keys.upload(group.bytes, localId)))?.slice() };
    });
    if (waiting === undefined) return;
    const { upload, sealed } = waiting;
    if (sealed === undefined) throw new ClientError('storage', 'a file that waits for its upload is not in the store');
    const hash = toBase64Url(upload.attachment.hash);
    const ask = async (): Promise<UploadAnswer> => {
      const { expires } = await api.putBlob(id, hash, sealed);
      return { kind: 'stored', expires };
    };
    const answer = await untilAnswered(ask, { signal, random, wake: (ms) => pause(ms, signal) }).catch(
      (error: unknown): UploadAnswer => {
        if (!(error instanceof ProblemError)) throw error;
        return { kind: 'refused', reason: reasonOf(error) };
      },
    );
    await serial.run(async () => {
      const batch = state.begin();
      const present = batch.group(id);
      if (present === undefined) return;
      batch.take(uploadAnswered(env, present, localId, answer, state.nextOutboxOrdinal()));
      await batch.commit();
    });
  };
}

/**
 * Removes encrypted files that no group waits for any more, which earlier versions left: the key of each is gone, so nobody can read or
 * send it, and what became of it was told when it was given up. Of groups that wait for files nothing is touched.
 */
export async function dropStrayUploads(
  store: ClientStore,
  groups: readonly Pick<Group, 'bytes' | 'uploads'>[],
): Promise<void> {
  if ((await store.range({ ...rangeOf('upload'), limit: 1 })).length === 0) return;
  for (const { bytes, uploads = [] } of groups) {
    if (uploads.length > 0) continue;
    for (;;) {
      // one after the other: each is a whole file
      const [stray] = await store.range({ ...rangeOf('upload', bytes), limit: 1 });
      if (stray === undefined) break;
      await store.commit([{ key: stray[0], value: undefined }]);
    }
  }
}

async function sealFile(
  { randomBytes }: Pick<EngineEnv, 'randomBytes'>,
  bytes: Uint8Array,
): Promise<{ readonly sealed: Uint8Array; readonly key: Uint8Array; readonly nonce: Uint8Array }> {
  const [key, nonce] = [randomBytes(KEY_BYTES), randomBytes(NONCE_BYTES)];
  const imported = await crypto.subtle.importKey('raw', view(key), AES_GCM, false, ['encrypt']);
  const sealed = await crypto.subtle.encrypt({ name: AES_GCM, iv: view(nonce) }, imported, view(bytes));
  return { sealed: new Uint8Array(sealed), key, nonce };
}

/** `undefined` when it was not sealed under this key. */
async function openFile({ key, nonce }: Attachment, sealed: Uint8Array): Promise<Uint8Array | undefined> {
  const imported = await crypto.subtle.importKey('raw', view(key), AES_GCM, false, ['decrypt']);
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: AES_GCM, iv: view(nonce) }, imported, view(sealed)));
  } catch {
    return undefined; // all that WebCrypto says of a tag that is wrong
  }
}

/** Never over memory that is shared with another thread, which WebCrypto does not take. */
function view(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

function refused(reason: string): FetchedFile {
  return { kind: 'refused', reason };
}
