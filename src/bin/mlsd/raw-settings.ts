import { OPTION_NAMES, OPTIONS, type OptionName, variableOf } from './options.ts';

/** A value as somebody wrote it, and where: `--port`, `MLSD_PORT`, or `port in /etc/mlsd.json`. */
export interface RawValue {
  readonly value: unknown;
  readonly source: string;
}

/** First step: who said what. Nothing is judged yet. */
export type RawSettings = { readonly [Name in OptionName]?: RawValue };

export interface ConfigFile {
  readonly path: string;
  readonly content: unknown;
}

export type RawParse =
  | { readonly kind: 'raw'; readonly raw: RawSettings }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** Merges the sources: a flag beats the environment, the environment beats the config file. Pure. */
export function mergeSettings(sources: {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile;
}): RawParse {
  const { flags, env, file } = sources;
  const members = file === undefined ? {} : asRecord(file.content);
  if (members === undefined) return refused([`${file?.path}: a config file holds one JSON object`]);
  const unknown = Object.keys(members).filter((name) => !Object.hasOwn(OPTIONS, name));
  if (unknown.length > 0) return refused(unknown.map((name) => `${name} in ${file?.path}: there is no such setting`));

  const raw: { [Name in OptionName]?: RawValue } = {};
  for (const name of OPTION_NAMES) {
    const variable = variableOf(name);
    if (flags[name] !== undefined) raw[name] = { value: flags[name], source: `--${name}` };
    else if (env[variable] !== undefined && env[variable] !== '')
      raw[name] = { value: env[variable], source: variable };
    else if (members[name] !== undefined) raw[name] = { value: members[name], source: `${name} in ${file?.path}` };
  }
  return { kind: 'raw', raw };
}

function refused(problems: readonly string[]): RawParse {
  return { kind: 'refused', problems };
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}
