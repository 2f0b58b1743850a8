/**
 * Names in a replica's directory.
 */
import * as Effect from "effect/Effect"
import type { Disk, DiskError } from "../../ports/Disk.ts"

export const manifestName = "manifest.json"
export const cursorsName = "cursors.json"
export const lockName = "lock"
export const topicsName = "topics"

/** Of a file that is being written for the first time: it counts only under its own name. */
export const creatingEnding = ".creating"

export const join = (...parts: ReadonlyArray<string>): string => parts.join("/")

export const topicDir = (dir: string, topic: string): string => join(dir, topicsName, topic)

/** Where the files of former topics go. */
export const asideDir = (dir: string): string => join(dir, "aside")
export const asideName = (topic: string, number: number): string => `${topic}-${number}`

/** The segment's name: its first batch index, so that names sort as the batches do. */
export const segmentName = (firstIndex: number): string => `${String(firstIndex).padStart(digits, "0")}${ending}`

/** A segment that is being written for the first time: it counts only under its own name. */
export const creatingName = (firstIndex: number): string => `${segmentName(firstIndex)}${creatingEnding}`

/** First batch index of a segment by its name; `undefined` for other files. */
export const firstIndexOf = (name: string): number | undefined => {
  const [, digitsOf] = pattern.exec(name) ?? []
  return digitsOf === undefined ? undefined : Number(digitsOf)
}

/** First batch indexes of the segments in a directory, in order; and the names of segments that were never finished. */
export const listSegments = (
  disk: Disk,
  dir: string
): Effect.Effect<
  { readonly firstIndexes: ReadonlyArray<number>; readonly unfinished: ReadonlyArray<string> },
  DiskError
> =>
  Effect.map(disk.list(dir), (names) => ({
    firstIndexes: names.flatMap((name) => firstIndexOf(name) ?? []).toSorted((a, b) => a - b),
    unfinished: names.filter((name) => name.endsWith(creatingEnding))
  }))

// --- internal ---

const digits = 20
const ending = ".segment"
const pattern = /^(\d{20})\.segment$/
