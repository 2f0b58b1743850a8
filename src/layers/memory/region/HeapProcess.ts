/**
 * A process of a heap region, simulated by fibers: its slot, its generation, and the signals that wake it.
 */
import type { Waiter } from "../../ports/Waiter.ts"
import { ChangeSignal } from "./ChangeSignal.ts"
import { makeRingWaiter } from "./RegionWaiter.ts"

/** What a fiber waits for: only that wakes it. */
export type WaitsFor = "frames" | "room" | "cursor"

export interface HeapProcessOptions {
  readonly slot: number
  readonly generation: number
  readonly name: string
  /** The region's name in errors. */
  readonly region: string
  /** Called once, after it detached or was killed. */
  readonly onEnd: () => void
}

/** After its death, nothing that it or its finalizers do has any effect. */
export class HeapProcess {
  readonly slot: number
  readonly generation: number
  readonly name: string
  /** Whether it looks again and again instead of sleeping. */
  looks = false
  /** Wakes when a ring that this process reads has new frames, and when a ring gets or loses its writer. */
  readonly waiter: Waiter
  /** Wakes when a reader releases room that a writer of this process wants. */
  readonly roomWaiter: Waiter
  /** Wakes when a reader advances, attaches, leaves or is evicted. */
  readonly cursorWaiter: Waiter
  readonly #signals: Readonly<Record<WaitsFor, ChangeSignal>> = {
    frames: new ChangeSignal(),
    room: new ChangeSignal(),
    cursor: new ChangeSignal()
  }
  readonly #onEnd: () => void
  #state: "attached" | "detached" | "killed" = "attached"

  constructor({ generation, name, onEnd, region, slot }: HeapProcessOptions) {
    this.slot = slot
    this.generation = generation
    this.name = name
    this.#onEnd = onEnd
    const waiterFor = (reason: WaitsFor) => makeRingWaiter(this.#signals[reason], region, () => this.#state)
    this.waiter = waiterFor("frames")
    this.roomWaiter = waiterFor("room")
    this.cursorWaiter = waiterFor("cursor")
  }

  get isAlive(): boolean {
    return this.#state === "attached"
  }

  get isKilled(): boolean {
    return this.#state === "killed"
  }

  /** Frees the slot. The waits of this process fail with `RegionLost`. */
  detach(): void {
    this.#end("detached")
  }

  /** Dies as if by SIGKILL: its fibers stop where they are, and their waits never end. */
  kill(): void {
    this.#end("killed")
  }

  /** Wakes the fibers of this process that wait for this. A dead process is never woken. */
  ring(reason: WaitsFor): void {
    if (this.isAlive) this.#signals[reason].ring()
  }

  #end(state: "detached" | "killed"): void {
    if (!this.isAlive) return
    this.#state = state
    // Do not wake the fibers of a killed process: no check of theirs may run again.
    if (state === "detached") { for (const signal of Object.values(this.#signals)) signal.ring() }
    this.#onEnd()
  }
}
