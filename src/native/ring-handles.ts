/**
 * The two ends of a ring, as the native memory module has them.
 */
import type { NativeRingPlace, NativeRingReader, NativeRingWatch, NativeRingWriter } from "./views.ts"

/** The writing end of a ring. */
export interface RingWriterHandle {
  info(): NativeRingWriter
  /** The ring's bytes, twice in a row. Detached when the region closes. */
  buffer(): ArrayBuffer
  /** The word that holds the generation of the ring's present writer. Detached when the region closes. */
  presentGeneration(): ArrayBuffer
  /** The ring's lead, at the offsets of `ringLead`, where JavaScript publishes over coherent memory. */
  leadWindow(): ArrayBuffer
  /** The word that changes with each reader that comes, leaves or comes back. */
  readersVersionWindow(): ArrayBuffer
  watched(): NativeRingWatch
  /**
   * Takes the frames that were written up to `end`, so many of them, of which JavaScript has published those below
   * `published`. Returns the position up to which more may be written once there is room for that payload; -1 when there
   * is none, -2 when it is too large or the writer has ended.
   */
  room(end: number, frames: number, published: number, payloadBytes: number): number
  /**
   * Takes the frames as `room` does, publishes those that are not published, and rings the readers that wait. False when
   * the writer has ended.
   */
  publish(end: number, frames: number, published: number): boolean
  /** Takes the frames as `room` does. */
  tell(end: number, frames: number, published: number): void
  wantRoom(wants: boolean): void
  /** Reader slot, -1 when no reader holds any room. */
  slowestReader(): number
  evictSlowest(): boolean
  /** Why it may no longer write the ring, of {@link writerEnd}. */
  end(): number
  close(): void
}

/** The reading end of a ring. */
export interface RingReaderHandle {
  info(): NativeRingReader
  /** The ring's bytes, twice in a row. Detached when the region closes. */
  buffer(): ArrayBuffer
  /** How far the ring is published, at the offsets of `ringLead`, in memory that others write. */
  leadWindow(): ArrayBuffer
  /** The fate of this reader's place, at the offsets of `ringReaderFate`, in memory that others write. */
  fateWindow(): ArrayBuffer
  /** The generation of the place's claim, in memory that others write. */
  claimWindow(): ArrayBuffer
  /** The place's line as this reader wrote it, at the offsets of `ringReaderLine`. */
  lineWindow(): ArrayBuffer
  /** By which numbers this reader has its place: others behind each `rejoin`. */
  place(): NativeRingPlace
  /** The generation of the ring's present writer. */
  generation(): number
  /**
   * Position below which bytes may be read, -1 once the reader is evicted or finds damage. Over flushed memory it may lie
   * within a frame: the next call shows more of it.
   */
  available(): number
  /** Position below which frames are published, -1 like `available`. */
  leading(): number
  advance(read: number, delivered: number, handled: number, released: number): void
  evicted(out: Float64Array): boolean
  /** Returns the new baseline, -1 when the reader has left. */
  rejoin(): number
  /** Whether the ring's writer is gone and nothing is published above `read`. */
  ended(read: number): boolean
  close(): void
}
