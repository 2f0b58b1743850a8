/**
 * Where JavaScript loads and stores words of a ring's shared lines: fields of 64 bits, of which it sees two halves.
 */

/** Byte offsets of the fields. A test compares them with src/native/region/ring_layout.h. */
export const ringLead = { position: 0, announced: 24, frames: 32 } as const
export const ringReaderFate = { endedGeneration: 0, evictedGeneration: 8 } as const
export const ringReaderLine = { attachedGeneration: 0, detachedGeneration: 8, released: 40 } as const

/** The index of a field's lower half in a view of the line; its upper half follows. */
export const halfAt = (byteOffset: number): number => byteOffset / Int32Array.BYTES_PER_ELEMENT

/** From one upper half to the next. */
export const halfRange = 2 ** 32
