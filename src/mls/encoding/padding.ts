/** No message shows less than this; most lines of chat are shorter. */
export const PADDED_MIN_BYTES = 256;
/** What the library adds to the text inside the padding: its length (4) and the signature with its length (66). */
const CONTENT_OVERHEAD_BYTES = 70;

/**
 * How long the padded content of a message is: the next bucket of Padmé (Nikitin et al., "Reducing Metadata Leakage
 * from Encrypted Files", 2019), at least {@link PADDED_MIN_BYTES}. At most 12 % longer than the text, and only
 * O(log log n) bits of the length are left to see. The zeros are RFC 9420's own padding (§6.3.1), inside the
 * encryption and unknown to the payload, so every client that follows the RFC reads through it.
 */
export function paddedLength(plaintextBytes: number): number {
  const length = plaintextBytes + CONTENT_OVERHEAD_BYTES;
  if (length <= PADDED_MIN_BYTES) return PADDED_MIN_BYTES;
  const exponent = Math.floor(Math.log2(length));
  const significant = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - significant);
  return Math.ceil(length / step) * step;
}
