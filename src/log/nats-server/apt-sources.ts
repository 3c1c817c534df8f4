/** A package archive this machine's apt already uses. */
export interface AptArchive {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Path of the keyring its releases are signed with; left out when apt's common keyrings are used. */
  readonly signedBy?: string;
}

/** Reads the stanzas of a `*.sources` file (deb822). Disabled and source-only ones are left out. */
export function parseSources(text: string): readonly AptArchive[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    let name = '';
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue;
      const field = /^([A-Za-z-]+):(.*)$/.exec(line);
      if (field !== null) name = field[1]!.toLowerCase();
      const value = field === null ? line : field[2]!;
      if (name !== '') fields.set(name, `${fields.get(name) ?? ''} ${value}`.trim());
    }
    const words = (field: string): string[] => (fields.get(field) ?? '').split(/\s+/).filter((word) => word !== '');
    if (!words('types').includes('deb') || fields.get('enabled')?.toLowerCase() === 'no') return [];
    const signedBy = words('signed-by');
    const keyring = signedBy.length === 1 && signedBy[0]!.startsWith('/') ? { signedBy: signedBy[0]! } : {};
    return words('uris').map((uri) => ({ uri, suites: words('suites'), components: words('components'), ...keyring }));
  });
}

/** Reads the lines of a `sources.list` file. */
export function parseSourcesList(text: string): readonly AptArchive[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    const [, options = '', uri, suite, components] = match;
    const keyring = /(?:^|\s)signed-by=(\/\S+)/.exec(options)?.[1];
    return [
      {
        uri: uri!,
        suites: [suite!],
        components: components!.trim().split(/\s+/),
        ...(keyring === undefined ? {} : { signedBy: keyring }),
      },
    ];
  });
}

/** The archive with the distribution's own packages: not its security updates, not somebody else's. */
export function mainArchive(archives: readonly AptArchive[]): AptArchive | undefined {
  return archives.find(
    ({ suites, components }) => components.includes('main') && suites.some((suite) => !suite.includes('security')),
  );
}
