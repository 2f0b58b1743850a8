/**
 * Writes what the cursors of one topic say to the files of one replica, and tells the log once it is on the disk.
 *
 *     look ─► the batches below the cursors are on the disk ─► file ─► told, with the stamp of the look
 *
 * At once while a holder waits for a later stamp than was told, otherwise now and then.
 */
import * as Effect from "effect/Effect"
import { type CursorLook, type CursorView, isExpired } from "../../ports/CursorPort.ts"
import type { DiskError } from "../../ports/Disk.ts"
import type { StoredCursor } from "../../ports/ReplicatedLog.ts"
import type { TopicFiles } from "../ReplicaFiles.ts"

/** How often commits are written that no process waits for. */
const storeMillis = 100

/** `isLast`: nothing is written later. */
export interface StoreTime {
  readonly isLast: boolean
  readonly nowMillis: number
}

export class CursorStore {
  readonly #files: TopicFiles
  /** A look that is to be written. It stays the same until the batches below its cursors are there, which only grow. */
  #pending: CursorLook | undefined
  /** The changes that the log was told of, and the last stamp. */
  #told: string | undefined
  #toldStamp = 0
  #storedMillis = -Infinity

  constructor(files: TopicFiles) {
    this.#files = files
  }

  /** From here on the topic's cursors need records: retention keeps them. */
  static needed({ cursors }: CursorLook, nowMillis: number): number {
    return cursors.reduce(
      (least, cursor) => isExpired(cursor, nowMillis) ? least : Math.min(least, cursor.position ?? Infinity),
      Infinity
    )
  }

  /** Whether a holder waits for what can be written now. */
  hasWanted(look: CursorLook): boolean {
    return this.#isWanted(look) && this.#hasBelow(this.#pending ?? look)
  }

  /** Another reader of the log tells it everything anew. */
  forget(): void {
    this.#told = undefined
    this.#toldStamp = 0
    this.#pending = undefined
  }

  /**
   * Takes this look if one is to be written and none is pending. True when there is one that can be written: the batches below
   * its cursors are there.
   */
  take(look: CursorLook, { isLast, nowMillis }: StoreTime): boolean {
    if (isLast || (this.#pending === undefined && this.#isDue(look, nowMillis))) this.#pending = look
    return this.#pending !== undefined && this.#hasBelow(this.#pending)
  }

  /** Writes the look that was taken. */
  readonly store = (nowMillis: number, tell: (stamp: number) => void): Effect.Effect<void, DiskError> =>
    Effect.suspend(() => {
      const pending = this.#pending
      if (pending === undefined) return Effect.void
      const stored = this.#storedOf(pending, nowMillis)
      return Effect.map(isSame(stored, this.#files.cursors()) ? Effect.void : this.#files.setCursors(stored), () => {
        if (this.#pending !== pending) return
        this.#pending = undefined
        this.#told = changesOf(pending)
        this.#toldStamp = pending.stamp
        this.#storedMillis = nowMillis
        tell(pending.stamp)
      })
    })

  #isDue(look: CursorLook, nowMillis: number): boolean {
    if (this.#isWanted(look)) return true
    return changesOf(look) !== this.#told && nowMillis - this.#storedMillis >= storeMillis
  }

  /**
   * A look may see a commit ahead of the commit's own stamp, for which its holder waits: then the same is told again, with the
   * stamp of a later look.
   */
  #isWanted({ cursors }: CursorLook): boolean {
    return cursors.some(({ wantedStamp }) => wantedStamp > 0 && wantedStamp >= this.#toldStamp)
  }

  /** What is damaged in memory stays as it was written last. */
  #storedOf(look: CursorLook, nowMillis: number): ReadonlyArray<StoredCursor> {
    const stored = look.cursors.flatMap((cursor) => storedOf(cursor, nowMillis))
    if (!look.isDamaged) return stored
    return [...stored, ...this.#files.cursors().filter(({ name }) => !look.cursors.some((one) => one.name === name))]
  }

  #hasBelow({ cursors }: CursorLook): boolean {
    const { position } = this.#files.synced()
    return cursors.every((cursor) => (cursor.position ?? 0) <= position)
  }
}

// --- internal ---

const changesOf = ({ cursors }: CursorLook): string => cursors.map(({ change }) => change).join()

const storedOf = (cursor: CursorView, nowMillis: number): ReadonlyArray<StoredCursor> => {
  const { expiresMillis, name, position, touchedMillis } = cursor
  return position === undefined || isExpired(cursor, nowMillis)
    ? []
    : [{ name, position, touchedMillis, expiresMillis }]
}

const isSame = (a: ReadonlyArray<StoredCursor>, b: ReadonlyArray<StoredCursor>): boolean =>
  JSON.stringify(a) === JSON.stringify(b)
