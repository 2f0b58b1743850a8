/**
 * Reads and writes `cursors.json` of a topic: how far its named cursors were at one moment. No cursor there is further than
 * the batches beside it, so that a restored log has the records that its cursors count as handled.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Disk, DiskError } from "../ports/Disk.ts"
import type { StoredCursor } from "../ports/ReplicatedLog.ts"
import { ReplicaDamaged, type ReplicaReadError } from "./ReplicaError.ts"
import { cursorsName, join } from "./segment/names.ts"
import { readWhole, writeWhole } from "./wholeFile.ts"

const cursorsFormat = 1

/** The JSON of the file. */
export const CursorsFile = Schema.Struct({
  format: Schema.Literal(cursorsFormat),
  cursors: Schema.Array(Schema.Struct({
    name: Schema.String,
    /** The records below are handled. */
    position: Schema.Number,
    /** Wall clock of its last opening, commit or leaving, in milliseconds. */
    touchedMillis: Schema.Number,
    /** So long behind that it is forgotten. */
    expiresMillis: Schema.Number
  }))
})

/** Empty when the topic has none. */
export const readCursors = (disk: Disk, dir: string): Effect.Effect<ReadonlyArray<StoredCursor>, ReplicaReadError> =>
  Effect.gen(function*() {
    const path = join(dir, cursorsName)
    const text = yield* readWhole(disk, path)
    if (text === undefined) return []
    const found = Option.getOrUndefined(decode(text))
    return found?.cursors ?? (yield* new ReplicaDamaged({
      file: path,
      offset: 0,
      detail: "it does not hold cursors of this version",
      nextStep: "restore a copy of the file, or remove it: the cursors of the topic then begin again"
    }))
  })

export const writeCursors = (
  disk: Disk,
  dir: string,
  cursors: ReadonlyArray<StoredCursor>
): Effect.Effect<void, DiskError> => writeWhole(disk, dir, cursorsName, { format: cursorsFormat, cursors })

/** What the file holds, and what is wrong with it. */
export interface CursorsReport {
  readonly cursors: ReadonlyArray<StoredCursor>
  readonly damage: ReplicaDamaged | undefined
}

/** To be read ahead of the batches: a process that writes has the batches there first. */
export const reportCursors = (disk: Disk, dir: string): Effect.Effect<CursorsReport, DiskError> =>
  readCursors(disk, dir).pipe(
    Effect.map((cursors): CursorsReport => ({ cursors, damage: undefined })),
    Effect.catchTag("ReplicaDamaged", (damage) => Effect.succeed({ cursors: [], damage }))
  )

/** Damage, if a cursor is further than the batches. */
export const beyond = (dir: string, { cursors, damage }: CursorsReport, end: number): ReplicaDamaged | undefined => {
  const further = cursors.find(({ position }) => position > end)
  if (damage !== undefined || further === undefined) return damage
  return new ReplicaDamaged({
    file: join(dir, cursorsName),
    offset: 0,
    detail: `cursor "${further.name}" is at ${further.position}, and the batches end at ${end}`,
    nextStep: "a segment is missing, or the file is of another copy: restore both from the same one"
  })
}

// --- internal ---

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(CursorsFile))
