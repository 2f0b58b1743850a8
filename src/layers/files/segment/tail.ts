/**
 * Tells the torn end that a crash leaves from damage.
 *
 * A writer writes a commit block only after the sync of the group before has returned, and a commit block says where its group
 * begins. So a commit block whose group begins behind the last valid group proves that the bytes between were synced once:
 * if they are invalid now, they were damaged. Without such a block they are a group that was never reported as durable.
 */
import * as Effect from "effect/Effect"
import type { DiskError } from "../../ports/Disk.ts"
import { type Commit, readCommit } from "../format/commit.ts"
import { alignment, sizes } from "../format/layout.ts"
import type { ReplicaDamaged } from "../ReplicaError.ts"
import { FileWindow } from "./FileWindow.ts"
import { damaged, type OpenedSegment } from "./openSegment.ts"
import type { Tail } from "./SegmentWalker.ts"

/** The damage that a tail proves to be, or `undefined` when a crash may have left it. */
export const tailDamage = (
  segment: OpenedSegment,
  { fault, offset }: Tail
): Effect.Effect<ReplicaDamaged | undefined, DiskError> =>
  Effect.gen(function*() {
    if (fault === undefined) return undefined
    const proof = yield* claims(segment, offset, ({ previousEnd }) => previousEnd > offset)
    if (proof === undefined) return undefined
    const written = `it was durable when the commit block that ends at byte ${proof.end} was written`
    return damaged(segment.path, fault.offset, `the block there is invalid (${fault.detail}), although ${written}`)
  })

/** Index behind the last batch that any commit block behind `offset` speaks of. */
export const lastClaim = (segment: OpenedSegment, offset: number): Effect.Effect<number | undefined, DiskError> =>
  Effect.gen(function*() {
    let last: number | undefined
    yield* claims(segment, offset, ({ nextIndex }) => {
      last = Math.max(last ?? 0, nextIndex)
      return false
    })
    return last
  })

// --- internal ---

/** The first commit block behind `offset` that is wanted, whether its group is valid or not. */
const claims = (
  { file, salt }: OpenedSegment,
  offset: number,
  wanted: (commit: Commit) => boolean
): Effect.Effect<Commit | undefined, DiskError> =>
  Effect.gen(function*() {
    const window = new FileWindow(file, offset)
    let at = offset
    while (yield* window.advance(at, sizes.commit)) {
      window.letGo()
      for (; at + sizes.commit <= window.from + window.filled; at += alignment) {
        const commit = readCommit(window.bytes, at - window.from, at, salt)
        if (commit !== undefined && wanted(commit)) return commit
      }
    }
    return undefined
  })
