/**
 * The port under named cursors, which each backend implements. A cursor belongs to a topic, has one holder at a time, and
 * lies in the region: it needs no server.
 */
import type * as Effect from "effect/Effect"
import type { RegionLost } from "../../services/CxlMemory.ts"
import type { NamedProcess } from "../../services/schema/ProcessId.ts"
import type { RegionError } from "../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../services/schema/Topic.ts"

/** A cursor as anyone sees it. */
export interface CursorView {
  readonly name: string
  /** The records below are handled. `undefined` while nothing was committed. */
  readonly position: number | undefined
  /** The living process that holds it. */
  readonly holder: NamedProcess | undefined
  /** Wall clock of its last opening, commit or leaving. */
  readonly touchedMillis: number
  /** So long behind that it is forgotten, unless it is held. */
  readonly expiresMillis: number
  /** The stamp of the last commit whose holder waits until it is on disks; below all others while there was none. */
  readonly wantedStamp: number
  /** Differs from that of any earlier look if the cursor was written meanwhile. */
  readonly change: string
}

/** The cursors of one topic. */
export interface CursorLook {
  /** What was committed before the look was begun has a lower stamp. */
  readonly stamp: number
  readonly cursors: ReadonlyArray<CursorView>
  /** Whether there may be others, which were damaged. */
  readonly isDamaged: boolean
}

export interface CursorRequest {
  readonly name: string
  readonly expiresMillis: number
  readonly nowMillis: number
  /** Also from a living holder. */
  readonly takeOver: boolean
}

export interface CursorCommit {
  readonly position: number
  readonly nowMillis: number
  /** The holder waits until it is on disks. */
  readonly isWanted: boolean
}

/** The outcome of what only the holder may do: `"taken"` once another has taken the cursor. */
export type AsHolder<A> = Effect.Effect<A | "taken", RegionError>

/** A cursor that this client holds. */
export interface HeldCursor {
  readonly name: string
  /** What was committed when it was taken. */
  readonly committed: number | undefined
  /** The stamp of the commit. */
  readonly commit: (commit: CursorCommit) => AsHolder<number>
  /** Says that the holder is still there: what expires is counted from now on. */
  readonly touch: (nowMillis: number) => AsHolder<void>
  readonly leave: (nowMillis: number) => AsHolder<void>
  /** Whether the files of the required replicas have what was committed up to that stamp. */
  readonly isStored: (stamp: number) => boolean
  /** The cursor as it is now; `undefined` if it is no more. */
  readonly look: () => CursorView | undefined
}

/** Takes a cursor: a new one if the topic has none of that name. Returns who has it while another lives that holds it. */
export type TakeCursor = (
  topic: Topic<any>,
  request: CursorRequest,
  options: { readonly mustExist: boolean }
) => Effect.Effect<HeldCursor | { readonly heldBy: string }, TopicError | RegionError | RegionLost>

/** Whether it has no holder and its time is over. */
export const isExpired = ({ expiresMillis, holder, touchedMillis }: CursorView, nowMillis: number): boolean =>
  holder === undefined && nowMillis > touchedMillis + expiresMillis
