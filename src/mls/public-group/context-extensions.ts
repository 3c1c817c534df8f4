import {
  decodeRequiredCapabilities,
  type Extension,
  encodeRequiredCapabilities,
  type RequiredCapabilities,
} from 'ts-mls';
import { encodeExtension } from 'ts-mls/extension.js';
import { equalBytes } from '../../wire/bytes.ts';
import { type Refused, refused } from './refusal.ts';

/** All extensions of a group together: roles of the largest group are a quarter of it. They are in each GroupInfo and each Welcome (D13). */
const CONTEXT_EXTENSIONS_MAX_BYTES = 256 * 1024;
/** Hundreds of types; every leaf that comes is held against each. */
const REQUIRED_MAX_BYTES = 1024;

/**
 * Whether a group may have these extensions in its context (RFC 9420 §17.3), whoever its members are. Of those of the RFC only
 * `required_capabilities` has a place there and a meaning here: proposals from outside are not taken, and members refuse
 * `external_senders` whose credential they do not know, so that it would stop the group for all.
 */
export function contextExtensionsRefusal(extensions: readonly Extension[]): Refused | undefined {
  const types = extensions.map(({ extensionType }) => extensionType);
  if (new Set(types).size !== types.length) return refused('unsupported-extension', 'an extension twice');
  const misplaced = types.find((type) => typeof type === 'string' && type !== 'required_capabilities');
  if (misplaced !== undefined) return refused('unsupported-extension', `${misplaced} in the group context`);
  const bytes = extensions.reduce((sum, extension) => sum + encodeExtension(extension).length, 0);
  if (bytes > CONTEXT_EXTENSIONS_MAX_BYTES) return refused('unsupported-extension', 'longer than is taken');
  return requiredIn(extensions) === 'malformed'
    ? refused('unsupported-extension', 'required_capabilities that cannot be read')
    : undefined;
}

/** What `required_capabilities` asks of every leaf (§11.1); `undefined` where there is none. Never throws. */
export function requiredIn(extensions: readonly Extension[]): RequiredCapabilities | 'malformed' | undefined {
  const found = extensions.find(({ extensionType }) => extensionType === 'required_capabilities');
  if (found === undefined) return undefined;
  const known = read.get(found);
  if (known !== undefined) return known;
  const required = readRequired(found.extensionData);
  read.set(found, required);
  return required;
}

/** Every leaf of a group is held against the same extension, which never changes in place. */
const read = new WeakMap<Extension, RequiredCapabilities | 'malformed'>();

function readRequired(bytes: Uint8Array): RequiredCapabilities | 'malformed' {
  if (bytes.length > REQUIRED_MAX_BYTES) return 'malformed';
  try {
    const decoded = decodeRequiredCapabilities(bytes, 0);
    if (decoded === undefined) return 'malformed';
    return equalBytes(encodeRequiredCapabilities(decoded[0]), bytes) ? decoded[0] : 'malformed';
  } catch {
    return 'malformed'; // the library throws where the data ends early
  }
}
