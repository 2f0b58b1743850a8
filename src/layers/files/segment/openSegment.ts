/**
 * Opens a segment and reads its header.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Disk, DiskError, DiskFile } from "../../ports/Disk.ts"
import { type Bytes, makeBytes } from "../format/bytes.ts"
import { headerBytes, type OpenedHeader, preambleFault, readHeader } from "../format/header.ts"
import { sizes } from "../format/layout.ts"
import { ReplicaDamaged } from "../ReplicaError.ts"
import type { Place } from "../StoredTopic.ts"
import type { ReadingAhead } from "./FileWindow.ts"
import { join, segmentName } from "./names.ts"
import { SegmentWalker } from "./SegmentWalker.ts"

/** What belongs to all files of a topic. */
export interface TopicPlace {
  readonly disk: Disk
  /** The topic's directory. */
  readonly dir: string
  readonly logId: string
  readonly topic: string
}

export interface OpenedSegment extends OpenedHeader {
  readonly path: string
  readonly file: DiskFile
  readonly first: Place
}

/** Opens the segment for reading, and checks that it is this topic's and begins where its name says. */
export const openSegment = (
  { dir, disk, logId, topic }: TopicPlace,
  firstIndex: number
): Effect.Effect<OpenedSegment, ReplicaDamaged | DiskError, Scope.Scope> =>
  Effect.gen(function*() {
    const path = join(dir, segmentName(firstIndex))
    const file = yield* disk.open(path, "read")
    const opened = yield* readOpened(file)
    if (typeof opened === "string") return yield* damaged(path, 0, opened)
    const { header } = opened
    if (header.logId !== logId) return yield* damaged(path, 0, `it is of log ${header.logId}, not of ${logId}`)
    if (header.topic !== topic) return yield* damaged(path, 0, `it is of topic "${header.topic}", not of "${topic}"`)
    if (header.firstIndex !== firstIndex) {
      return yield* damaged(path, 0, `it begins with batch ${header.firstIndex}, and its name says another`)
    }
    return { ...opened, path, file, first: { index: firstIndex, position: header.firstPosition } }
  })

/** Walks a segment from its first group on. The scope of what is read ahead ends before the segment's. */
export const walk = ({ end, file, first, salt }: OpenedSegment, ahead?: ReadingAhead): SegmentWalker =>
  new SegmentWalker(file, salt, end, first, ahead)

/** The error of a file that contradicts what was written, with what can be done. */
export const damaged = (file: string, offset: number, detail: string): ReplicaDamaged =>
  new ReplicaDamaged({ file, offset, detail, nextStep: repairStep })

/** For a topic that is declared, and of which nothing was written yet: its directory may be missing. */
export const orNone = <N>(none: N) =>
<A, E extends { readonly _tag: string }, R>(
  effect: Effect.Effect<A, E | DiskError, R>
): Effect.Effect<A | N, E | DiskError, R> =>
  Effect.catchIf(effect, isMissing, () => Effect.succeed(none)) as Effect.Effect<A | N, E | DiskError, R>

// --- internal ---

const isMissing = (error: { readonly _tag: string }): boolean =>
  error._tag === "DiskError" && (error as DiskError).op === "list" && (error as DiskError).code === "ENOENT"

const repairStep = "nothing was changed; repair it from another replica of the log, or restore a copy of the file: "
  + "ringfence files verify lists all damage"

/** A header has the identities of a topic, some hundred bytes each. */
const headerBytesMax = 64 * 1024 * 1024

/** Most headers fit into this. */
const firstBytes = 4096

const readOpened = (file: DiskFile): Effect.Effect<OpenedHeader | string, DiskError> =>
  Effect.gen(function*() {
    const first = makeBytes(firstBytes)
    const filled = yield* file.read(0, first.bytes)
    if (filled < sizes.preamble + sizes.header) return "it is shorter than a header"
    const fault = preambleFault(first)
    if (fault !== undefined) return fault
    const wanted = headerBytes(first)
    if (wanted <= filled) return readHeader(first, filled)
    if (wanted > headerBytesMax || wanted > (yield* file.size)) return "the length of its header is wrong"
    const whole: Bytes = makeBytes(wanted)
    return readHeader(whole, yield* file.read(0, whole.bytes))
  })
