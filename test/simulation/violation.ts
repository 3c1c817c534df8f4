/** What must never be seen, by name. */
export type Rule =
  | 'one commit an epoch'
  | 'positions are contiguous'
  | 'heads are equal'
  | 'acknowledged is kept'
  | 'delivered exactly once'
  | 'epoch authenticators are equal'
  | 'rosters are equal'
  | 'no generation twice'
  | 'cursors only grow'
  | 'nothing outside the window'
  | 'nothing is parked'
  | 'no unexplained warning'
  | 'no internal failure'
  | 'all comes to rest'
  | 'intentions are answered'
  | 'outboxes empty'
  | 'texts in order'
  | 'not sent is not there'
  | 'one holder a name'
  | 'one claim a key package'
  | 'revoked devices are taken out'
  | 'who left is out'
  | 'a gap is what was compacted'
  | 'changes read alike'
  | 'receipts are of what was shown'
  | 'tables are equal';

/** One breach of one rule, in words. */
export interface Violation {
  readonly rule: Rule;
  readonly text: string;
}
