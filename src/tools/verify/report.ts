/** What a check came to. */
export type VerifyReport =
  /** Everything holds; one sentence a line, with counts. */
  | { readonly kind: 'clean'; readonly lines: readonly string[] }
  /** The first thing that does not hold. */
  | { readonly kind: 'different'; readonly where: string; readonly detail: string };

/** Ends a check that runs in the middle of other things; never leaves this folder. */
export class Found extends Error {
  override readonly name = 'Found';
  readonly report: VerifyReport & { readonly kind: 'different' };

  constructor(where: string, detail: string) {
    super(`${where}: ${detail}`);
    this.report = { kind: 'different', where, detail };
  }
}
