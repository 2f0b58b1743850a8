/**
 * Writes what the cursors of one topic say to the files of one replica, and tells the log once it is on the disk.
 *
 *     look ─► the batches below the cursors are on the disk ─► file ─► told, with the stamp of the look
 *
 * At once while a holder waits for it, otherwise now and then.
 */
import * as Effect from "effect/Effect"
import { type CursorLook, type CursorView, isExpired } from "../../ports/CursorPort.ts"
import type { DiskError } from "../../ports/Disk.ts"
import type { StoredCursor } from "../../ports/ReplicatedLog.ts"
import type { TopicFiles } from "../ReplicaFiles.ts"

/** How often commits are written that no process waits for. */
const storeMillis = 100

/** How often it is told again that nothing has changed, while a holder may wait for that. */
const tellMillis = 50

export class CursorStore {
  readonly #files: TopicFiles
  /** A look that is to be written. It stays the same until the batches below its cursors are there, which only grow. */
  #pending: CursorLook | undefined
  /** The changes that the log was told of, and when last. */
  #told: string | undefined
  #toldMillis = -Infinity
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
    return changesOf(look) !== this.#told && look.cursors.some(({ isWanted }) => isWanted)
      && this.#hasBelow(this.#pending ?? look)
  }

  /** Another reader of the log tells it everything anew. */
  forget(): void {
    this.#told = undefined
    this.#pending = undefined
  }

  /** `isLast`: nothing is written later. */
  readonly store = (
    look: CursorLook,
    tell: (stamp: number) => void,
    { isLast, nowMillis }: { readonly isLast: boolean; readonly nowMillis: number }
  ): Effect.Effect<void, DiskError> =>
    Effect.suspend(() => {
      if (isLast || (this.#pending === undefined && this.#isDue(look, nowMillis))) this.#pending = look
      const pending = this.#pending
      if (pending === undefined) return Effect.sync(() => this.#tellAgain(look, tell, nowMillis))
      if (!this.#hasBelow(pending)) return Effect.void
      const stored = this.#storedOf(pending, nowMillis)
      return Effect.map(isSame(stored, this.#files.cursors()) ? Effect.void : this.#files.setCursors(stored), () => {
        this.#pending = undefined
        this.#told = changesOf(pending)
        this.#storedMillis = nowMillis
        this.#toldMillis = nowMillis
        tell(pending.stamp)
      })
    })

  /**
   * A look may see a commit whose holder takes its time only afterwards: then the look's stamp is too low for the holder, and
   * nothing will ever change again while it waits. So what is still the same is told with the stamps of later looks.
   */
  #tellAgain(look: CursorLook, tell: (stamp: number) => void, nowMillis: number): void {
    if (changesOf(look) !== this.#told || nowMillis - this.#toldMillis < tellMillis) return
    if (!look.cursors.some(({ isWanted }) => isWanted)) return
    this.#toldMillis = nowMillis
    tell(look.stamp)
  }

  #isDue(look: CursorLook, nowMillis: number): boolean {
    if (changesOf(look) === this.#told) return false
    return nowMillis - this.#storedMillis >= storeMillis || look.cursors.some(({ isWanted }) => isWanted)
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
