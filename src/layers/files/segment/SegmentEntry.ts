/**
 * What is known of a segment without opening it.
 */
export interface SegmentEntry {
  readonly firstIndex: number
  readonly firstPosition: number
  /** The largest `orderedMillis` of all batches before it. */
  readonly orderedMillis: number
  readonly bytes: number
}
